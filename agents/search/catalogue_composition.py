"""What the search knows in words about the operators of composition: streams, widths, blocks, repeated use."""

from __future__ import annotations

from collections.abc import Mapping

from move37.agents.search.genome import NORMED, STREAMS, StreamName
from move37.agents.search.operator_words import OperatorWords

_CALLED: Mapping[StreamName, tuple[str, str]] = {  # in a phrase; as a regular expression
    "input": ("the input", r"(the )?inputs?"),
    "query": ("queries alone", r"(the )?quer(y|ies)( alone)?"),
    "key": ("keys alone", r"(the )?keys?( alone)?"),
    "value": ("values alone", r"(the )?values?( alone)?"),
    "gate": ("the gate", r"(the )?gates?"),
    "output": ("the output", r"(the )?outputs?"),
}
_WHY: Mapping[StreamName, str] = {
    "input": "everything that the block computes, gates and decays included, then sees the tokens before",
    "query": "what is looked up can depend on how the last tokens go together",
    "key": "a value can be stored under the token before it, which is what completing a pattern needs",
    "value": "what is stored is a short phrase instead of a single token",
    "gate": "what is let through can depend on the last tokens",
    "output": "what neighbours read from the memory is joined before it is mixed",
}


def _streams() -> Mapping[str, OperatorWords]:
    found = {}
    for name in STREAMS:
        phrase, words = _CALLED[name]
        conv = rf"({words}[ -]conv\w*|(short )?conv\w* (of|on|over) {words})"
        shift = rf"({words}[ -](token[ -])?shift\w*|(token[ -])?shift\w* (of|on) {words})"
        if name == "input":
            shift += r"|token[ -]shift\w*"
        found[f"{name}_conv"] = OperatorWords(
            phrase=f"a short convolution of {phrase}",
            why=_WHY[name],
            risk="the convolution of queries, keys and values may do it already",
            words=conv,
        )
        found[f"{name}_shift"] = OperatorWords(
            phrase=f"a token shift of {phrase}",
            why=f"for one number a channel: {_WHY[name]}",
            risk="one token back may be too little",
            words=shift,
        )
    for name in NORMED:
        phrase, words = _CALLED[name]
        found[f"{name}_norm"] = OperatorWords(
            phrase=f"a norm of {phrase}",
            why="its scale no longer moves during training",
            risk="the scale may have carried information",
            words=rf"{words}[ -]norm\w*|norm\w* (of|on) {words}",
        )
    return found


COMPOSITION: Mapping[str, OperatorWords] = {
    **_streams(),
    "vector_decay_erase": OperatorWords(
        phrase="the delta rule with vector decay (KDA)",
        why="it erases one association and lets every key dimension forget at a rate of its own",
        risk="three ways to forget may compete early in training",
        words=r"\bkda\b|kimi( delta)?( attention)?|delta[ -]rule with (a )?vector decay|vector decay and eras\w+",
        probe="overwrite_recall",
    ),
    "several_reflections": OperatorWords(
        phrase="several Householder steps a token",
        why="one reflection follows swaps; two make a rotation, which tracking permutations needs",
        risk="each step costs keys and values of its own",
        words=r"delta[ -]?products?|householder\w*( steps?)?|(several|two|three|more) (reflections?|steps)( a token)?",
        probe="parity",
    ),
    "separate_erase_write": OperatorWords(
        phrase="separate gates for erasing and writing",
        why="a token can clear an entry without storing anything, or store without clearing",
        risk="where little is ever revoked the two gates learn the same",
        words=r"(separate|decoupled?|own) (gates? for )?(erase|erasing)( and |/| )writ\w+( gates?| strengths?)?",
        probe="overwrite_recall",
    ),
    "log_linear_state": OperatorWords(
        phrase="log-linear attention, a state for each bucket of a Fenwick tree",
        why="near tokens are kept apart and far ones together, each read with a weight of its own",
        risk="several states cost time, and the coarse ones still mix what is far",
        words=r"log[ -]linear( attention)?|fenwick( tree)?s?|hierarch\w+ (states?|memory)|logarithm\w+ (many )?states?",
        probe="overwrite_recall",
    ),
    "chained_paths": OperatorWords(
        phrase="paths in a chain",
        why="what one memory read is what the next one writes, so two lookups fit into one layer",
        risk="the second path learns only once the first one reads something useful",
        words=r"chain\w*|paths? in (a )?(chain|series)|one path after (another|the other)",
        probe="overwrite_recall",
    ),
    "second_pass": OperatorWords(
        phrase="a second pass through the same block",
        why="shared weights are used twice: depth without parameters",
        risk="it costs twice the time",
        words=r"second pass|(shared|same) weights( twice| again)?|weight sharing|universal transformer|recurrent depth",
    ),
    "block_before": OperatorWords(
        phrase="a small block before the main one",
        why="the main block reads what is joined already",
        risk="its parameters are missing in the main block",
        words=r"block (in front|before)|(local|small) block before|before the (main )?block",
    ),
    "block_beside": OperatorWords(
        phrase="a small block beside the main one",
        why="a second memory with projections of its own need not share keys with the first",
        risk="its parameters are missing in the main block",
        words=r"block beside|(local|small) block beside|beside the (main )?block",
    ),
    "block_after": OperatorWords(
        phrase="a small block after the main one",
        why="what the memory gave can be looked up and mixed once more in the same layer",
        risk="its parameters are missing in the main block",
        words=r"block (behind|after)|(local|small) block after|after the (main )?block",
    ),
    "keys_from_block": OperatorWords(
        phrase="keys made by a block before",
        why="a key can say what stood around its token, and the query stays as it is",
        risk="queries and keys no longer speak of the same thing",
        words=r"keys? (made )?(from|by) (a|the) block( before)?",
        probe="overwrite_recall",
    ),
    "values_from_block": OperatorWords(
        phrase="values made by a block before",
        why="what is stored is a phrase that another block has put together",
        risk="the token itself may be lost",
        words=r"values? (made )?(from|by) (a|the) block( before)?",
    ),
    "wide_taps": OperatorWords(
        phrase="more taps of a short convolution",
        why="words of six to eight bytes are seen whole",
        risk="most of the taps learn nothing in a short training",
        words=r"(more|wide|wider|eight|8|six|6) taps|(wide|wider|longer) (short )?conv\w*",
    ),
    "narrow_taps": OperatorWords(
        phrase="fewer taps of a short convolution",
        why="two or three tokens are what is joined anyway",
        risk="longer patterns have to go through the memory",
        words=r"(fewer|narrow\w*|two|2|three|3) taps",
    ),
    "wide_keys": OperatorWords(
        phrase="wider keys",
        why="more associations fit into the state before they interfere",
        risk="the projections cost parameters that the MLP then lacks",
        words=r"(wide|wider|larger) keys|larger key (size|dimension)s?",
        probe="overwrite_recall",
    ),
    "narrow_keys": OperatorWords(
        phrase="narrower keys",
        why="parameters go to where content is: values, gate and MLP",
        risk="fewer associations fit into the state",
        words=r"(narrow|narrower|smaller) keys|smaller key (size|dimension)s?",
    ),
    "wide_values": OperatorWords(
        phrase="wider values",
        why="more can be read from the memory at once",
        risk="the gate has to become smaller to pay for it",
        words=r"(wide|wider|larger|expanded) values?|(inner|value) (width|expansion)|larger value (size|dimension)s?",
    ),
    "narrow_gate": OperatorWords(
        phrase="a gate through a quarter of the width",
        why="what to let through is a smaller question than what to store, and the MLP gets the parameters",
        risk="the gate can no longer treat every channel by itself",
        words=r"(narrow|low[ -]rank|smaller) (output )?gates?|gates? through a quarter( of the width)?",
    ),
    "narrow_values": OperatorWords(
        phrase="narrower values",
        why="the MLP gets the parameters",
        risk="less can be read from the memory at once",
        words=r"(narrow|narrower|smaller) values?|smaller value (size|dimension)s?",
    ),
}
