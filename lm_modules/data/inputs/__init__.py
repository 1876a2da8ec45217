"""From a path to named streams of bytes: what every source that reads files has in common.

    path --files--> files --streams--> streams --encodings--> UTF-8 --lines--> lines
            |                 |- changes: a file that changes while it is read is refused
            |                 |- compression, archives: unpacked in memory, with a bound on how far they may grow
            |- a folder, a pattern, a URL; links out of the folder are named, not followed

`parts` cuts all of it into what can be read by itself, side by side.
"""
