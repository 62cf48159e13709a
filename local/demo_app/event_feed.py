"""The connection events that Acme Benefits receives, and the alarms that its operator receives.

Each subscriber reads a queue and prints a line for each message.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

EVENTS = "local-connection-events"
ALARMS = "local-alarms"


class Listener:
    """Reads a queue in a thread and passes each message to `hear`."""

    def __init__(self, sqs: Any, name: str, hear: Callable[[dict[str, Any]], None]) -> None:
        self._sqs, self._hear = sqs, hear
        self._url = sqs.create_queue(QueueName=name)["QueueUrl"]
        names = ["QueueArn"]
        self.arn = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"][
            "QueueArn"
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def start(self) -> None:
        """Starts to listen. The first messages are those that arrived before."""
        self._thread.start()

    def stop(self) -> None:
        """Stops listening."""
        self._stop.set()
        self._thread.join()

    def _listen(self) -> None:
        while not self._stop.is_set():
            answer = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in answer.get("Messages", ()):
                self._hear(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])


class EventFeed:
    """Subscribes to all connection events, keeps them and prints a line for each."""

    def __init__(self, sqs: Any, events: Any, bus: str, say: Callable[[str], None]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._say = say
        self.listener = Listener(sqs, EVENTS, self._hear)
        pattern = json.dumps({"source": ["finch-connections"]})
        events.put_rule(Name=EVENTS, EventBusName=bus, EventPattern=pattern)
        target = {"Id": "queue", "Arn": self.listener.arn}
        events.put_targets(Rule=EVENTS, EventBusName=bus, Targets=[target])

    def _hear(self, event: dict[str, Any]) -> None:
        self.heard.append(event)
        detail = event["detail"]
        connection = "/".join(detail[name] for name in ("customer_id", "provider_id", "company_id"))
        previous = detail["previous_status"] or "nothing"
        self._say(f"{event['detail-type']} {connection}: {previous} -> {detail['status']}\n")


class AlarmFeed:
    """Subscribes to the alarms as an operator does, and prints a line for each."""

    def __init__(self, sqs: Any, sns: Any, topic: str, say: Callable[[str], None]) -> None:
        self._say = say
        self.listener = Listener(sqs, ALARMS, self._hear)
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.listener.arn)

    def _hear(self, notification: dict[str, Any]) -> None:
        self._say(f"{notification['Subject']}\n")
