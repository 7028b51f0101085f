"""Look of the page: system fonts only (nothing is fetched from elsewhere), one accent, quiet surfaces in light and dark."""

from __future__ import annotations

import gradio as gr

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def build_theme() -> gr.themes.Base:
    """Slate surfaces, blue accent, 6 px corners, compact spacing; subdued text dark enough for AA on its surface."""
    theme = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        font=SANS,
        font_mono=MONO,
        text_size=gr.themes.sizes.text_sm,
        spacing_size=gr.themes.sizes.spacing_sm,
        radius_size=gr.themes.sizes.radius_sm,
    )
    return theme.set(
        body_background_fill="#ffffff",
        body_background_fill_dark="#0b1220",
        body_text_color="#16202e",
        body_text_color_dark="#e6ebf2",
        body_text_color_subdued="#51606f",
        body_text_color_subdued_dark="#9aa8b8",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_label_text_color="#51606f",
        block_label_text_color_dark="#9aa8b8",
        block_title_text_color="#51606f",
        block_title_text_color_dark="#9aa8b8",
        block_shadow="none",
        block_shadow_dark="none",
        block_padding="0px",
        border_color_primary="#dde3ea",
        border_color_primary_dark="#223047",
        input_background_fill="#f4f6f9",
        input_background_fill_dark="#141e30",
        input_border_color="#c9d2dc",
        input_border_color_dark="#2c3c55",
        input_placeholder_color="#51606f",
        input_placeholder_color_dark="#9aa8b8",
        input_border_width="1px",
        input_border_width_dark="1px",
        button_primary_background_fill="#1d5fd6",
        button_primary_background_fill_hover="#174fb5",
        button_primary_background_fill_dark="#2563eb",
        button_primary_background_fill_hover_dark="#1d56d0",
        button_primary_text_color="#ffffff",
        button_secondary_background_fill="#eef1f5",
        button_secondary_background_fill_hover="#e2e7ee",
        button_secondary_background_fill_dark="#1b2739",
        button_secondary_background_fill_hover_dark="#243349",
        slider_color="#1d5fd6",
        slider_color_dark="#4d8bf5",
    )
