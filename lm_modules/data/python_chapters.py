"""Which chapter of the Python library reference describes a module of the standard library.

After the contents page of the documentation of Python 3.11 (https://docs.python.org/3.11/library/index.html). Modules
that it lists as superseded, which is no topic, keep their chapter of 3.9. What is behind a documented module
(`_pydecimal`) belongs to it, and so do the three modules behind `os.path`, which share most of their docstrings.
"""

from __future__ import annotations

CHAPTERS = {
    "text processing": "string re difflib textwrap unicodedata stringprep readline rlcompleter",
    "binary data": "struct codecs",
    "data types": "datetime zoneinfo calendar collections heapq bisect array weakref types copy pprint reprlib enum "
    "graphlib",
    "numbers and mathematics": "numbers math cmath decimal fractions random statistics",
    "functional programming": "itertools functools operator",
    "files and directories": "pathlib posixpath fileinput stat filecmp tempfile glob fnmatch linecache shutil",
    "data persistence": "pickle copyreg shelve marshal dbm sqlite3",
    "compression and archiving": "zlib gzip bz2 lzma zipfile tarfile _compression compression",
    "file formats": "csv configparser tomllib netrc plistlib xdrlib",
    "cryptography": "hashlib hmac secrets",
    "operating system": "os io time argparse optparse getopt logging getpass curses platform errno ctypes",
    "concurrent execution": "threading multiprocessing concurrent subprocess sched queue contextvars",
    "networking and processes": "asyncio socket ssl select selectors signal mmap asyncore asynchat",
    "internet data": "email json mailcap mailbox mimetypes base64 binascii binhex quopri uu",
    "structured markup": "html xml",
    "internet protocols": "webbrowser wsgiref urllib http ftplib poplib imaplib nntplib smtplib smtpd telnetlib uuid "
    "socketserver xmlrpc ipaddress cgi cgitb",
    "multimedia": "wave colorsys aifc sunau chunk imghdr sndhdr",
    "internationalization": "gettext locale",
    "program frameworks": "turtle turtledemo cmd shlex",
    "graphical interfaces": "tkinter idlelib",
    "development tools": "typing pydoc doctest unittest",
    "debugging and profiling": "bdb pdb profile cProfile pstats timeit trace tracemalloc",
    "packaging and distribution": "distutils venv zipapp",
    "runtime services": "sys sysconfig builtins warnings dataclasses contextlib abc atexit traceback __future__ gc "
    "inspect site",
    "custom interpreters": "code codeop",
    "importing modules": "zipimport pkgutil modulefinder runpy importlib imp",
    "language services": "ast symtable token keyword tokenize tabnanny pyclbr py_compile compileall dis opcode "
    "pickletools",
    "unix": "posix pwd grp crypt termios tty pty fcntl pipes resource syslog",
}
CHAPTER_OF = {module: chapter for chapter, modules in CHAPTERS.items() for module in modules.split()}

BELONGS_TO = {
    "_collections_abc": "collections",
    "_markupbase": "html",
    "_py_abc": "abc",
    "_pydatetime": "datetime",
    "_pydecimal": "decimal",
    "_pyio": "io",
    "_pylong": "math",
    "_sitebuiltins": "site",
    "_strptime": "time",
    "_threading_local": "threading",
    "_weakrefset": "weakref",
    "genericpath": "posixpath",
    "ntpath": "posixpath",
    "nturl2path": "urllib",
    "sre_compile": "re",
    "sre_constants": "re",
    "sre_parse": "re",
    "_opcode_metadata": "opcode",
    "_osx_support": "sysconfig",
    "_aix_support": "sysconfig",
}


def group_of(module: str) -> str:
    """Return what `module` (dotted) must never be parted from: the top-level module that it stands behind."""
    top = module.partition(".")[0]
    return BELONGS_TO.get(top, top)


def chapter_of(module: str) -> str | None:
    """Return the chapter that describes `module`; None if the contents page names none."""
    return CHAPTER_OF.get(group_of(module))
