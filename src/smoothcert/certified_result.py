"""What a procedure returns beside certificates, as one result: long as its inputs, with their certificates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar, overload

from smoothcert.certificate import Certificate, Certificates, Row, Rows

__all__ = ["CertifiedResult", "HasCertificates", "certificates_in"]

T = TypeVar("T")


class HasCertificates(Protocol):
    """What a procedure returned."""

    @property
    def certificates(self) -> Certificates:
        """One for each input."""
        ...


class CertifiedResult:
    """A result that has `certificates`, and can be used as if it were they."""

    certificates: Certificates

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'; '.join([self.certificates.facts(), *self._more()])})"

    def _more(self) -> list[str]:
        return []

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.certificates)

    @overload
    def __getitem__(self, rows: Row) -> Certificate: ...
    @overload
    def __getitem__(self, rows: Rows) -> Certificates: ...
    def __getitem__(self, rows: Row | Rows) -> Certificate | Certificates:
        """Return the certificate of one input, or those of several."""
        return self.certificates[rows]

    def __iter__(self) -> Iterator[Certificate]:
        """Yield the certificate of each input."""
        return iter(self.certificates)

    def summary(self) -> str:
        """Say what is claimed and how surely, and what to be cautious about; see `Certificates.summary`."""
        return self.certificates.summary()

    def to_pandas(self) -> Any:
        """Return the certificates as a pandas DataFrame; see `Certificates.to_pandas`."""
        return self.certificates.to_pandas()

    def to_polars(self) -> Any:
        """Return the certificates as a Polars DataFrame; see `Certificates.to_polars`."""
        return self.certificates.to_polars()


@overload
def certificates_in(found: HasCertificates) -> Certificates: ...
@overload
def certificates_in(found: T) -> T: ...
def certificates_in(found: Any) -> Any:
    """Return the certificates of a result, or what was given where it is no result: certificates, or a log.

    Parameters
    ----------
    found : CertificationRun or another result, Certificates, or anything else
        What a function that takes certificates was given.

    Returns
    -------
    Certificates
        The attribute `certificates`, if there is one.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> certificates_in(SimpleNamespace(certificates="certificates")), certificates_in("certificates")
    ('certificates', 'certificates')
    """
    return getattr(found, "certificates", found)
