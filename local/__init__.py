"""The local world: emulated AWS, the fake Finch, a sign-in and a demo application for the product."""
