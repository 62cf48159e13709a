"""Floor: the standard library alone, signing by hand; the limit of what can be reached."""

import hmac
import http.client
import json
import os
import ssl
import time
from hashlib import sha256

CONTEXT = ssl.create_default_context(cafile=os.environ["FLOOR_CA"])
VERSIONS = {
    "dynamodb": "DynamoDB_20120810",
    "kms": "TrentService",
    "secretsmanager": "secretsmanager",
}
_connections = {}


def _connection(name, url):
    if name not in _connections:
        host, _, port = url.removeprefix("https://").partition(":")
        _connections[name] = http.client.HTTPSConnection(host, int(port or 443), context=CONTEXT)
    return _connections[name]


def aws(service, operation, **arguments):
    """One call in one of AWS's JSON protocols (Signature Version 4)."""
    url, region = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]
    host, body = url.removeprefix("https://"), json.dumps(arguments)
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    json_version = "1.0" if service == "dynamodb" else "1.1"
    headers = {
        "content-type": f"application/x-amz-json-{json_version}",
        "host": host,
        "x-amz-date": now,
        "x-amz-target": f"{VERSIONS[service]}.{operation}",
    }
    if token := os.environ.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"POST\n/\n\n{lines}\n{names}\n{sha256(body.encode()).hexdigest()}"
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return _send(_connection(service, url), "POST", "/", body, headers)


def finch(method, path, body=None, headers=None):
    """One call to Finch."""
    sent = {
        "finch-api-version": "2020-09-17",
        "content-type": "application/json",
        **(headers or {}),
    }
    content = json.dumps(body) if body is not None else ""
    return _send(_connection("finch", os.environ["FINCH_API_URL"]), method, path, content, sent)


def _send(connection, method, path, body, headers):
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status}")
    return json.loads(content or b"{}")
