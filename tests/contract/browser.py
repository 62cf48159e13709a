"""A small browser for tests: it reads the forms of a page and submits them."""

import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

# Loopback is plain HTTP. Reading the machine's certificates would take longer than most tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class Form:
    """A form: its fields, and the buttons that submit it."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    """Names of the text fields."""
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(action=has["action"]))
        if not self.forms or "name" not in has:
            return
        form = self.forms[-1]
        if tag == "button":
            form.buttons.append((has["name"], has.get("value", "")))
        elif tag == "input" and has.get("type") in ("hidden", "checkbox"):
            if has["type"] == "hidden" or "checked" in has:
                form.fields.append((has["name"], has.get("value", "")))
        elif tag == "input":
            form.inputs.append(has["name"])


class Browser:
    """Shows a single page and follows no redirect."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.Client(base_url=base_url, verify=NO_TLS)
        self.page: httpx.Response

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def open(self, url: str) -> httpx.Response:
        self.page = self._client.get(url)
        return self.page

    @property
    def forms(self) -> list[Form]:
        parser = _Forms()
        parser.feed(self.page.text)
        return parser.forms

    def form_with(self, name: str) -> Form:
        """The form with a field or button `name`."""
        for form in self.forms:
            answerable = [*form.inputs, *(key for key, _ in form.buttons), *dict(form.fields)]
            if name in answerable:
                return form
        raise AssertionError(f"no form has {name}")

    def press(self, name: str, value: str) -> httpx.Response:
        """Press the button with this name and value, without changes in its form."""
        for form in self.forms:
            if (name, value) in form.buttons:
                return self._post(form, [*form.fields, (name, value)])
        raise AssertionError(f"no button {name}={value}")

    def type_in(self, **texts: str) -> httpx.Response:
        """Fill the text fields and submit their form."""
        form = self.form_with(next(iter(texts)))
        assert set(texts) <= set(form.inputs)
        return self._post(form, [*form.fields, *texts.items()])

    def press_with(self, name: str, value: str, *, without: tuple[str, str]) -> httpx.Response:
        """Press a button after unticking one checkbox of its form."""
        form = next(form for form in self.forms if (name, value) in form.buttons)
        fields = [field for field in form.fields if field != without]
        return self._post(form, [*fields, (name, value)])

    def _post(self, form: Form, fields: list[tuple[str, str]]) -> httpx.Response:
        data: dict[str, list[str]] = {}
        for key, value in fields:
            data.setdefault(key, []).append(value)
        self.page = self._client.post(form.action, data=data)
        return self.page
