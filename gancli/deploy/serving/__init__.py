"""An HTTP service that draws images: its routes, its queue, its page for people."""
