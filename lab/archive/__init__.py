"""Every attempt, kept: `store` (SQLite), `schema` (numbered), `codec` and `assemble` (rows <-> records), `lock`."""

from move37.lab.archive.store import Archive, Campaign, Line, ModelCall

__all__ = ["Archive", "Campaign", "Line", "ModelCall"]
