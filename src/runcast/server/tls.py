"""TLS of the server: its certificate.

Owns the context, and the certificate's renewal without a restart.
"""

from __future__ import annotations

import logging
import os
import ssl

from runcast.errors import UsageError

__all__ = ["Certificate"]

log = logging.getLogger("runcast.server")


class Certificate:
    """A certificate with its key, in files that something else renews.

    Args:
        cert: the path of the certificate with its chain, PEM.
        key: the path of its key, PEM; None where the key is in the same file.

    Attributes:
        context: for connections; those that begin after a renewal have the new certificate.

    Raises:
        UsageError: a file cannot be read, or has something else in it.
    """

    def __init__(self, cert: str, key: str | None = None) -> None:
        self._paths = (cert, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._stamps()
        if problem := self._problem(self.context):
            raise UsageError(problem)

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        """Return what changes when a file does."""
        stamps: list[tuple[int, int, int] | None] = []
        for path in filter(None, self._paths):
            try:
                found = os.stat(path)
            except OSError:
                stamps.append(None)
            else:
                stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return stamps

    def _problem(self, context: ssl.SSLContext) -> str:
        """Load the files; return what is wrong with them."""
        cert, key = self._paths
        for option, path in (("--tls-cert", cert), ("--tls-key", key)):
            if path is not None:
                try:
                    with open(path, "rb"):
                        pass
                except OSError as error:
                    return f"cannot read {option} {path}: {(error.strerror or str(error)).lower()}"
        encrypted = False

        def password() -> str:
            nonlocal encrypted
            encrypted = True
            return ""

        try:
            context.load_cert_chain(cert, key, password)
        except (ssl.SSLError, ValueError) as error:
            if encrypted:
                return (
                    f"expected a key without a passphrase in {key or cert}, got an encrypted one: "
                    "nobody is there to type it; keep the file readable for this user alone"
                )
            if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
                return f"expected the key of the certificate {cert}, got that of another in {key or cert}"
            what = f"PEM with a certificate in {cert} and its key in {key or 'the same file'}"
            return f"expected {what}, got something else"
        return ""

    def renew(self, *, quietly: bool = False) -> None:
        """Use the files anew if they have changed; while they do not fit, the ones before stay in use.

        Args:
            quietly: without a line in the log: another worker of the server writes it.
        """
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        # Tried apart: the first file of a pair that does not fit would be in use already.
        if problem := self._problem(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
            if not quietly:
                log.warning("the TLS certificate is not renewed: %s", problem)
            return
        self._problem(self.context)
        if not quietly:
            log.info("the TLS certificate was renewed")
