"""Graphs from WordNet's hypernyms, reduced to what tells labels apart (GMLA supplement, section 5).

Only the builder needs nltk and WordNet; the graphs that it made are shipped in lib/flipbook/graphs.
"""

import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

SECTIONS = "".join(f"{i:02d}\tsection{i}\t1\n" for i in range(45))  # as in WordNet's file lexnames


def build(synsets: Mapping[str, str], folder: Path) -> dict[str, str | None]:
    """Build the graph over some labels from WordNet's data files.

    Parameters
    ----------
    synsets : mapping of str to str
        The noun synset of each label, such as "dog.n.01"; no two labels share one.
    folder : Path
        WordNet 3.0's database files (data.noun, index.noun, ...).

    Returns
    -------
    dict of str to str or None
        Parent of every label, then of every abstract label, in the order in which they are met going up.

    Raises
    ------
    ImportError
        nltk is not installed.
    FileNotFoundError
        WordNet is not in the folder.
    ValueError
        An unknown synset, or one that two labels share.
    """
    for label, synset in synsets.items():
        first = next(other for other, its in synsets.items() if its == synset)
        if first != label:
            raise ValueError(f"labels {first!r} and {label!r} share synset {synset!r}: give each its own")
    return named(synsets, reduced(list(synsets.values()), hypernyms(synsets, folder)))


def hypernyms(synsets: Mapping[str, str], folder: Path) -> dict[str, dict[str, float]]:
    """Every synset above the labels', with its direct hypernyms and their Wu-Palmer similarity to it.

    Parameters
    ----------
    synsets : mapping of str to str
        The noun synset of each label, such as "dog.n.01".
    folder : Path
        WordNet 3.0's database files (data.noun, index.noun, ...).

    Returns
    -------
    dict of str to dict of str to float
        Of every synset, the labels' first, its hypernyms (instances' too) with their similarity in (0, 1]; an empty
        one at the top.

    Raises
    ------
    FileNotFoundError
        WordNet is not in the folder.
    OSError
        Another of its files is missing.
    ImportError
        nltk is not installed.
    ValueError
        A synset that is no noun or that WordNet does not have; names the label.

    Notes
    -----
    Source: GMLA supplement, section 5: a noun synset for each label, and all above it (steps 1 and 2 here). Similarity
    of a and b: 2 depth(c) / (depth(a) + depth(b)), c the lowest synset above both, with NLTK's depths.
    """
    if not (folder / "data.noun").is_file():
        raise FileNotFoundError(
            f"data.noun is not in {folder}: unpack WordNet 3.0 there (Debian's package wordnet-base, or nltk's wordnet)"
        )
    with _reader(folder) as wordnet:
        waiting = [_synset(wordnet, label, synset) for label, synset in synsets.items()]
        above = {}
        while waiting:
            node = waiting.pop(0)
            parents = sorted({*node.hypernyms(), *node.instance_hypernyms()}, key=lambda synset: synset.name())
            above[node.name()] = {parent.name(): node.wup_similarity(parent) for parent in parents}
            waiting += [parent for parent in parents if parent.name() not in above]
    return above


def _synset(wordnet, label: str, synset: str):
    from nltk.corpus.reader.wordnet import WordNetError

    if synset.split(".")[-2:-1] != ["n"]:
        raise ValueError(f"label {label!r} has synset {synset!r}: it must be a noun, such as 'dog.n.01'")
    try:
        return wordnet.synset(synset)
    except (WordNetError, ValueError, KeyError) as error:
        # nltk gives a bare KeyError for a word that is no noun.
        why = "WordNet has no such noun" if isinstance(error, KeyError) else error
        raise ValueError(f"label {label!r} has synset {synset!r}: {why}; write a noun like 'dog.n.01'") from error


@contextmanager
def _reader(folder: Path):
    """Open WordNet with nltk, which reads below nltk.data.path only."""
    try:
        import nltk
        from nltk.corpus.reader.wordnet import WordNetCorpusReader
    except ImportError as error:
        raise ImportError("nltk is needed to read WordNet: pip install nltk; shipped graphs do without") from error

    class Reader(WordNetCorpusReader):
        def open(self, file):
            """Debian leaves `lexnames` out; nltk insists on it, and nothing here looks at what it says."""
            missing = file == "lexnames" and not (folder / file).is_file()
            return StringIO(SECTIONS) if missing else super().open(file)

        def map_wn(self, version="wordnet"):
            """Only other languages need the mapping to another release of WordNet, from a file that Debian lacks."""

    nltk.data.path.append(str(folder.resolve()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # says that there are no other languages
            wordnet = Reader(str(folder.resolve()), None)
        yield wordnet
    finally:
        nltk.data.path.remove(str(folder.resolve()))


def reduced(labels: list[str], above: Mapping[str, Mapping[str, float]]) -> dict[str, str | None]:
    """Reduce a graph of hypernyms to a forest (steps 3 to 5).

    Parameters
    ----------
    labels : list of str
        Nodes that stay.
    above : mapping
        Of every node, its hypernyms with their similarity to it.

    Returns
    -------
    dict of str to str or None
        Parent of every node that is left: labels first, then the others in the order in which they are met going up.

    Notes
    -----
    Of several hypernyms the most similar one stays, among equals the first by name. Then nodes without a label beneath
    them go, and unlabelled nodes with one child: its grandparent becomes its parent. Last, an unlabelled root that is
    alone goes, and again: what is above every label tells nothing. (For VOC these are "entity" and "whole"; the
    supplement keeps roots with one child, the authors' graph has none.)
    """
    parent = {node: max(sorted(over), key=over.get, default=None) for node, over in above.items()}
    links: dict[str, str | None] = {label: parent[label] for label in labels}
    for label in labels:
        node = parent[label]
        while node is not None and node not in links:
            links[node] = parent[node]
            node = parent[node]
    for node in [node for node in links if node not in labels]:
        below = [child for child, over in links.items() if over == node]
        if len(below) == 1:
            links[below[0]] = links.pop(node)
    while len(roots := [node for node, over in links.items() if over is None]) == 1 and roots[0] not in labels:
        links = {node: None if over == roots[0] else over for node, over in links.items() if node != roots[0]}
    return links


def named(synsets: Mapping[str, str], links: Mapping[str, str | None]) -> dict[str, str | None]:
    """Call labels by their names, and the others by the first word of their synset where that is free."""
    names = {synset: label for label, synset in synsets.items()}
    for synset in links:
        word = synset.split(".")[0]
        names.setdefault(synset, synset if word in names.values() else word)
    return {names[node]: None if over is None else names[over] for node, over in links.items()}
