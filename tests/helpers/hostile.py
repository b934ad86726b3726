"""Output that is hard to say in events: whatever could end a line or an event, begin one, or be no text."""

HOSTILE = b"".join(
    [
        b"\xef\xbb\xbfa byte order mark first\n",
        b"plain\n",
        b"\n",
        b"carriage\rreturns\r\r\nand their ends\r\n",
        b"nul \0 and \0\0\n",
        "separators \u2028 \u2029 \x85 \x0b \x0c \x1c \x1d \x1e \u00a0\n".encode(),
        b"data: evil\ndata\ndata:\n",
        b"id: 17\nid: 1\0\nevent: exit\nretry: 1\n: comment\n:\n",
        b" a blank\n  two blanks\n\tand a tab\n",
        b'{"chunks":[]}\n"quotes" and \\ backslashes \\u0000 \\n\n',
        b"invalid \xff\xfe \xc3 \xed\xa0\x80 \xf0\x9f\x98 and cut\n",
        "emoji \U0001f600 and \u00e4\u00df\u4e2d\n".encode(),
        b"x" * 200_000 + b"\n",
        "\u00e4".encode() * 70_000 + b"\n",
        b"\x1b[31mred\x1b[0m \x07\n",
        bytes(range(256)) + b"\n",
        b"\n\n\nthe last has no end \xf0\x9f",
    ]
)
