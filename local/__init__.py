"""The world around the product: emulated AWS, fake Finch, sign-in and the Connections page."""
