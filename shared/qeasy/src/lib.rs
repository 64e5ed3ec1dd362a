//! The target API, 轻易云 (Qeasy), as types and calls.
