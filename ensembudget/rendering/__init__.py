"""Rendering: tables as CSV, Markdown, LaTeX and HTML, figures as SVG and PNG, and the manifest."""
