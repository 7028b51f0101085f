"""The page. Gradio reads its settings from the environment when it is imported, so they are made here."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
