//! The demo: two tenants, their conversations, and what demo and tests share: a private PostgreSQL, a development issuer, provider stand-ins.

pub mod issuer;
pub mod postgres;
pub mod standins;
