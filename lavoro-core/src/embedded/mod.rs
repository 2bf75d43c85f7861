//! An embedded PostgreSQL.
