"""Reports: one campaign as an HTML page that needs nothing else, or as Markdown. Views and templates do the work."""

from move37.app.report.render import html_of, markdown_of, write_report

__all__ = ["html_of", "markdown_of", "write_report"]
