"""Every attempt, kept: `store` (SQLite), `schema` (numbered), `codec` and `assemble` (rows <-> records), `lock`; beside
the experiments `controls` (what users ask for) and `live` (what happens now), written through `shared`."""

from move37.lab.archive.message import Message
from move37.lab.archive.store import Archive, Campaign, ModelCall

__all__ = ["Archive", "Campaign", "Message", "ModelCall"]
