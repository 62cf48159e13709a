"""The client id and secret of the application at Finch: wrong, unreadable or rotated."""

from tests.acceptance.outcomes import connected
from tests.support.deployed import Deployed
from tests.support.person import Person


def test_code_is_exchanged_after_an_unreadable_secret_is_repaired(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    kept = deployed.secrets.get_secret_value(SecretId=deployed.secret_arn)["SecretString"]
    deployed.finch.faults.add("POST", "/auth/token", error="invalid_client_error")
    deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString="not json")
    try:
        assert acme.come_back(url).outcome == {"error": "finch_misconfigured"}
    finally:
        deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString=kept)
    assert acme.come_back(url).outcome == connected(deployed)


def test_rotated_client_secret_is_read_again_and_the_connect_succeeds(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    kept = deployed.secrets.get_secret_value(SecretId=deployed.secret_arn)["SecretString"]
    old = deployed.finch.application.client_secret
    try:
        deployed.finch.replace_application(client_secret="rotated")
        deployed.secrets.put_secret_value(
            SecretId=deployed.secret_arn, SecretString=kept.replace(old, "rotated")
        )
        assert acme.connect(provider_id="justworks").outcome["status"] == "connected"
    finally:
        deployed.finch.replace_application(client_secret=old)
        deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString=kept)


def test_secret_of_the_wrong_shape_gives_finch_misconfigured(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    kept = deployed.secrets.get_secret_value(SecretId=deployed.secret_arn)["SecretString"]
    link = acme.link()
    deployed.finch.faults.add("POST", "/connect/sessions", times=3, error="invalid_client_error")
    try:
        for wrong in ('{"client_id": "x", "client_secret": null}', '{"client_id": ""}', "[]"):
            deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString=wrong)
            assert acme.come_back(link).outcome == {"error": "finch_misconfigured"}
    finally:
        deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString=kept)
    deployed.finch.faults.clear()
    assert acme.go_through(link).outcome == connected(deployed)


def test_rejected_client_credentials_lose_no_code(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", times=None, error="invalid_client_error")
    assert acme.come_back(url).outcome == {"error": "finch_misconfigured"}
    assert acme.connections() == []
    deployed.finch.faults.clear()
    assert acme.come_back(url).outcome == connected(deployed)
