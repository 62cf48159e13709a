"""The world around the product: emulated AWS, stand-in Finch, sign-in and the Connections page."""
