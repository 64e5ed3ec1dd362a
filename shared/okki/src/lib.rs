//! The source API, OKKI CRM, as types and calls.
