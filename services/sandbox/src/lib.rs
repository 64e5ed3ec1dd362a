//! A stand-in OKKI and a stand-in 轻易云 that can misbehave on request.
