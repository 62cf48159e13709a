"""What an application hears of connections: a queue that a rule of the bus fills, read as it comes."""

import json
import threading
from collections.abc import Callable
from typing import Any

NAME = "local-changes"


class ChangeFeed:
    """Subscribes to every change, keeps what it hears and says a line for each."""

    def __init__(self, sqs: Any, events: Any, bus: str, say: Callable[[str], None]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._sqs, self._say = sqs, say
        self._queue_url = sqs.create_queue(QueueName=NAME)["QueueUrl"]
        attributes = sqs.get_queue_attributes(
            QueueUrl=self._queue_url, AttributeNames=["QueueArn"]
        )["Attributes"]
        pattern = json.dumps({"source": ["finch-connections"]})
        events.put_rule(Name=NAME, EventBusName=bus, EventPattern=pattern)
        events.put_targets(
            Rule=NAME, EventBusName=bus, Targets=[{"Id": "queue", "Arn": attributes["QueueArn"]}]
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def start(self) -> None:
        """Begins to listen, with what came while nobody did."""
        self._thread.start()

    def stop(self) -> None:
        """Stops listening."""
        self._stop.set()
        self._thread.join()

    def _listen(self) -> None:
        while not self._stop.wait(0.2):
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", ()):
                self._hear(json.loads(message["Body"]))
                self._sqs.delete_message(
                    QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"]
                )

    def _hear(self, event: dict[str, Any]) -> None:
        self.heard.append(event)
        detail = event["detail"]
        connection = "/".join(detail[one] for one in ("customer_id", "provider_id", "company_id"))
        was = detail["previous_status"] or "nothing"
        self._say(f"{event['detail-type']} {connection}: {was} -> {detail['status']}\n")
