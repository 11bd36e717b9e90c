//! Peerage.
