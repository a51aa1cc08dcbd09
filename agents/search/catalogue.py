"""What the search knows about its operators in words: a name, a reason, where to look, and what people call them.

No gains stand here: those that did had nothing to do with what was measured later (docs/decisions/66). What an operator
is worth, the record of the archive says.
"""

from __future__ import annotations

from collections.abc import Mapping

from move37.agents.search.catalogue_composition import COMPOSITION
from move37.agents.search.operator_words import OperatorWords

CATALOGUE: Mapping[str, OperatorWords] = {
    **COMPOSITION,
    "softmax_attention": OperatorWords(
        phrase="softmax attention inside a window",
        why="exact lookups among the nearest tokens need no compressed state",
        risk="what lies beyond the window is lost to this path",
        words=r"softmax[ -]attention|softmax(?![ -](rout|feature|map))|(?<!linear )(?<!gated )\battention\b",
        probe="overwrite_recall",
    ),
    "linear_attention": OperatorWords(
        phrase="linear attention",
        why="a plain sum is the cheapest memory and never forgets on its own",
        risk="without forgetting the state fills up and old values drown new ones",
        words=r"linear[ -]attention",
        probe="overwrite_recall",
    ),
    "retention": OperatorWords(
        phrase="retention with a fixed decay a head",
        why="fixed spans cover several time scales without anything to learn",
        risk="a fixed decay cannot keep one thing and drop another",
        words=r"retention|retnet|fixed decay",
        probe="overwrite_recall",
    ),
    "ssd": OperatorWords(
        phrase="a scalar state-space memory (SSD)",
        why="one step size ties what is written to what is forgotten",
        risk="a scalar decay forgets all associations alike",
        words=r"\bssd\b|mamba(-?2)?|state[ -]space|scalar decay",
        probe="selective_copy",
    ),
    "gla": OperatorWords(
        phrase="gated linear attention with vector decay",
        why="each key dimension can have a memory span of its own",
        risk="more parameters go into gates than into content",
        words=r"\bgla\b|gated linear attention|vector decay",
        probe="selective_copy",
    ),
    "delta_rule": OperatorWords(
        phrase="the delta rule",
        why="it erases what a key held before it writes, so the latest value wins",
        risk="without decay a whole stale context is never cleared",
        words=r"(?<!gated )(?<!gated-)delta[ -]?(rule|net)?s?\b(?! *gat)",
        probe="overwrite_recall",
    ),
    "gated_delta_rule": OperatorWords(
        phrase="the gated delta rule",
        why="it can both correct one association and clear the whole state",
        risk="two ways to forget may compete early in training",
        words=r"gated[ -]delta[ -]?(rule|net)?s?\b|\bgdn\b",
        probe="overwrite_recall",
    ),
    "short_conv": OperatorWords(
        phrase="a short convolution",
        why="neighbouring tokens are joined before they are compared, which a state update cannot do",
        risk="it may duplicate what other paths do already",
        words=r"short[ -]conv\w*|conv1d|local conv\w*|(?<!long )(?<!long-)\bconv(olution)?s?\b",
    ),
    "long_conv": OperatorWords(
        phrase="a gated convolution over the whole past",
        why="a learned filter sees periodic structure at any distance",
        risk="the filter does not depend on the content",
        words=r"long[ -]conv\w*|conv\w* over the whole past|hyena|\bfft\b",
        probe="selective_copy",
    ),
    "sliding_window": OperatorWords(
        phrase="a sliding window",
        why="precise short-range attention leaves the long range to the recurrent state",
        risk="another window size may fit the corpus better",
        words=r"sliding[ -]window|local attention|window(ed)?\b",
        probe="overwrite_recall",
    ),
    "parallel_softmax_router": OperatorWords(
        phrase="parallel paths mixed by a softmax router",
        why="each token chooses the path that fits it, and the paths compete",
        risk="the router may settle on one path early and starve the others",
        words=r"softmax[ -]rout\w+",
    ),
    "parallel_sigmoid_router": OperatorWords(
        phrase="parallel paths mixed by independent sigmoids",
        why="paths add up instead of competing, so none is starved",
        risk="the sum may grow with the number of paths",
        words=r"sigmoid[ -]?(rout\w+|gat\w+|mix\w*)",
    ),
    "hierarchical_router": OperatorWords(
        phrase="a hierarchical router over three paths",
        why="one decision between memory and local paths first, then within them",
        risk="three paths cost time, and gains of a second path were not distinguishable from zero",
        words=r"hierarch\w+( rout\w+)?|two[ -]level|three paths",
    ),
    "output_gate": OperatorWords(
        phrase="an output gate",
        why="a token can refuse what the memory returns",
        risk="its parameters are missing elsewhere",
        words=r"output[ -]gat\w+|\bgates?\b",
    ),
    "learned_floor": OperatorWords(
        phrase="a learned floor",
        why="no path is ever shut off, and no memory is cleared completely, so gradients keep flowing",
        risk="what should be forgotten stays a little",
        words=r"floors?\b|lower bound",
    ),
    "residual_path": OperatorWords(
        phrase="a residual path from values to the output",
        why="the current token need not go through the memory",
        risk="the block has a residual connection already",
        words=r"residual\w*|skip\b",
    ),
    "qk_l2norm": OperatorWords(
        phrase="queries and keys of length one",
        why="writes keep their size, and an erasing write stays a contraction",
        risk="the length of a key can no longer say how important it is",
        words=r"l2[ -]?norm\w*|(queries and )?keys of length one|unit[ -](keys|length)|l2\b|normali[sz]ed keys",
        probe="overwrite_recall",
    ),
    "qk_rmsnorm": OperatorWords(
        phrase="RMS-normalised queries and keys",
        why="scores keep their scale while the gain stays learnable",
        risk="it adds a scale that the output norm removes again",
        words=r"qk[ -]?(rms[ -]?)?norm\w*|rms[ -]?norm\w* (of )?(queries|keys)",
    ),
    "feature_map_elu": OperatorWords(
        phrase="the feature map elu + 1",
        why="positive features make a sum behave like an average",
        risk="positive features cannot cancel what was written",
        words=r"\belu\b( ?\+ ?1)?",
    ),
    "feature_map_relu": OperatorWords(
        phrase="the feature map relu",
        why="sparse keys overlap less, so more of them fit into one state",
        risk="silent dimensions get no gradient",
        words=r"\brelu\b|sparse keys",
        probe="overwrite_recall",
    ),
    "feature_map_silu": OperatorWords(
        phrase="the feature map silu",
        why="a soft threshold keeps small negative parts that relu throws away",
        risk="it may add nothing after the convolution's own silu",
        words=r"\bsilu\b|\bswish\b",
    ),
    "feature_map_softmax": OperatorWords(
        phrase="softmax features within a head",
        why="keys become soft one-hot addresses",
        risk="addresses saturate and gradients vanish",
        words=r"softmax[ -](feature|map)\w*|one-hot",
        probe="overwrite_recall",
    ),
    "beta_two": OperatorWords(
        phrase="a write strength of up to two",
        why="negative eigenvalues let a state flip, which parity needs",
        risk="it diverges unless keys have length one",
        words=r"beta|write strength|negative eigenvalues?|parity|state[ -]track\w*",
        probe="parity",
    ),
    "decay_init_long": OperatorWords(
        phrase="memory spans that start long",
        why="forgetting has to be learned instead of unlearned",
        risk="early in training old tokens are noise",
        words=r"start long\b|long(er)? (decays?|memory|spans?)|slow decay",
        probe="selective_copy",
    ),
    "decay_init_short": OperatorWords(
        phrase="memory spans that start short",
        why="text is predicted from near by first, and spans can grow",
        risk="gradients over long spans are small at first",
        words=r"start short\b|short(er)? (decays?|memory|spans?)|fast decay",
    ),
    "decay_init_spread": OperatorWords(
        phrase="memory spans spread over the heads",
        why="each head covers a time scale of its own",
        risk="few heads are left for the span that matters",
        words=r"spread|multi[ -]?scale|per[ -]head decay\w*|time scales?|half[ -]li(fe|ves)",
    ),
    "output_norm": OperatorWords(
        phrase="a norm on what the memory returns",
        why="the scale of a sum grows with time, the norm takes that away",
        risk="the scale may have carried information",
        words=r"output[ -]norm\w*|group[ -]?norm\w*|\bnorm\b",
    ),
    "rotary": OperatorWords(
        phrase="rotary positions",
        why="relative positions enter the comparison of queries and keys",
        risk="a decaying state knows how old things are already",
        words=r"rotary|\brope\b|positions?\b",
    ),
    "more_heads": OperatorWords(
        phrase="twice the heads",
        why="more, smaller memories interfere less with each other",
        risk="each head's state holds fewer associations",
        words=r"twice the heads|more heads|many heads|small(er)? heads",
        probe="overwrite_recall",
    ),
    "fewer_heads": OperatorWords(
        phrase="half the heads",
        why="a larger state per head holds more associations",
        risk="fewer time scales and fewer independent lookups",
        words=r"half the heads|fewer heads|larger? (heads|states?)|big(ger)? (heads|states?)",
        probe="overwrite_recall",
    ),
}
