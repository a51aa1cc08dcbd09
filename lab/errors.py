"""What can go wrong with the lab itself (a failed candidate is data, not an error).

    LabError
    |- BadTask            unknown task, or its folder lacks a file
    |- BadCorpus          unreadable, too small, or its checksum differs
    |- BadCandidate       the file cannot be read at all
    |- ArchiveError
    |  |- ArchiveEmpty    nothing has run here yet
    |  |- ArchiveBusy     another campaign holds this home
    |  |- ArchiveUnwritable  full, read-only, or held for too long
    |  |- ArchiveCorrupt  opened read-only; names the backup
    |  '- UnknownExperiment
    '- MeasurementBroken  a training or scoring job gave nothing usable, and not through the candidate

Every message is one sentence that says what to do.
"""


class LabError(Exception):
    """The lab cannot go on; the root of this room's errors."""


class BadTask(LabError):
    """The task cannot be used."""


class BadCorpus(LabError):
    """The text cannot be used."""


class BadCandidate(LabError):
    """The candidate's file cannot be read."""


class ArchiveError(LabError):
    """The archive cannot be used."""


class ArchiveEmpty(ArchiveError):
    """There is nothing to read yet."""


class ArchiveBusy(ArchiveError):
    """Another campaign holds this home."""


class ArchiveUnwritable(ArchiveError):
    """The archive cannot be written: the disk is full, read-only, or somebody holds it for too long."""


class ArchiveCorrupt(ArchiveError):
    """The archive's file is damaged."""


class UnknownExperiment(ArchiveError):
    """No experiment has this id."""


class MeasurementBroken(LabError):
    """A measurement failed for a reason that is ours."""
