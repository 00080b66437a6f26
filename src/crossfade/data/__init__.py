"""From a folder of pictures to batches: scan, split, decode, cache, loader. Knows nothing of mixing."""

from crossfade.data.cache import Cache, prepare
from crossfade.data.classes import class_weights, match_classes
from crossfade.data.decode import decode, load_picture
from crossfade.data.listing import Refusal
from crossfade.data.loader import Batch, Loader
from crossfade.data.onthefly import Decoded
from crossfade.data.refusal import RefusedPicture
from crossfade.data.scan import Index, scan
from crossfade.data.split import Split, first_per_class, read_split, split, write_split

__all__ = [
    "Batch",
    "Cache",
    "Decoded",
    "Index",
    "Loader",
    "Refusal",
    "RefusedPicture",
    "Split",
    "class_weights",
    "decode",
    "first_per_class",
    "load_picture",
    "match_classes",
    "prepare",
    "read_split",
    "scan",
    "split",
    "write_split",
]
