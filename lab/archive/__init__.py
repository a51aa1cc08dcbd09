"""Every attempt, kept: `store` (SQLite), `schema` (numbered), `codec` and `assemble` (rows <-> records), `lock`."""

from move37.lab.archive.store import Archive, Call, Campaign, Line

__all__ = ["Archive", "Call", "Campaign", "Line"]
