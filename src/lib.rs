//! jobvault.
