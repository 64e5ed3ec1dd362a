//! The body of an answer as plain UTF-8: unpacked if a server or a proxy packed it although nobody asked for that, and
//! decoded if it is in another charset.

use std::io::Read;

use bytes::Bytes;
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// A byte that no UTF-8 text contains. It stands where the other charset was violated, so that whoever reads the body
/// finds the damage at its place.
const DAMAGED: u8 = 0xFF;

/// Bytes that are decoded at once.
const PIECE: usize = 8 << 10;

/// Why a body cannot be made plain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotPlain {
    /// It is packed in a way we cannot undo; what is wrong with it.
    Packed {
        /// The name of the packing.
        encoding: String,
        /// What is wrong.
        why: String,
    },
    /// It is larger than we take once it is unpacked.
    TooLarge,
}

/// Makes a body plain. `packing` is the Content-Encoding header, `content_type` the Content-Type header; either may be
/// empty or wrong. At most `most` bytes are made of it.
pub(crate) fn make_plain(
    body: Bytes,
    packing: &str,
    content_type: &str,
    most: usize,
) -> Result<Bytes, NotPlain> {
    let mut body = body;
    let named = packing.split(',').map(|name| name.trim().to_ascii_lowercase());
    for encoding in named.rev().filter(|name| !name.is_empty() && name != "identity") {
        body = unpack(body, &encoding, most)?;
    }
    // Packed, and nothing says so.
    if body.starts_with(&[0x1F, 0x8B, 0x08]) {
        body = unpack(body, "gzip", most)?;
    }
    Ok(decode(body, content_type))
}

fn unpack(body: Bytes, encoding: &str, most: usize) -> Result<Bytes, NotPlain> {
    if body.is_empty() {
        return Ok(body);
    }
    let packed = |why: String| NotPlain::Packed { encoding: encoding.to_string(), why };
    match encoding {
        "gzip" | "x-gzip" => read_all(flate2::read::MultiGzDecoder::new(&body[..]), packed, most),
        "deflate" => match read_all(flate2::read::ZlibDecoder::new(&body[..]), packed, most) {
            // Some servers leave the zlib header out.
            Err(NotPlain::Packed { .. }) => {
                read_all(flate2::read::DeflateDecoder::new(&body[..]), packed, most)
            }
            other => other,
        },
        "zstd" => match zstd::stream::read::Decoder::new(&body[..]) {
            Ok(decoder) => read_all(decoder, packed, most),
            Err(error) => Err(packed(error.to_string())),
        },
        _ => Err(packed("this packing is not known".into())),
    }
}

fn read_all(packed: impl Read, wrong: impl Fn(String) -> NotPlain, most: usize) -> Result<Bytes, NotPlain> {
    let mut plain = Vec::new();
    packed.take(most as u64 + 1).read_to_end(&mut plain).map_err(|error| wrong(error.to_string()))?;
    if plain.len() > most { Err(NotPlain::TooLarge) } else { Ok(Bytes::from(plain)) }
}

fn decode(body: Bytes, content_type: &str) -> Bytes {
    let Some(encoding) = charset_of(&body, content_type) else { return without_mark(body) };
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let mut plain = Vec::with_capacity(body.len() + body.len() / 2);
    let mut rest = &body[..];
    loop {
        // In pieces: each violation ends one, and there may be many.
        let room =
            decoder.max_utf8_buffer_length_without_replacement(rest.len()).unwrap_or(0).clamp(16, PIECE);
        let filled = plain.len();
        plain.resize(filled + room, 0);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(rest, &mut plain[filled..], true);
        plain.truncate(filled + written);
        rest = &rest[read..];
        match result {
            DecoderResult::InputEmpty => return Bytes::from(plain),
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => plain.push(DAMAGED),
        }
    }
}

/// The charset to decode from; `None` if the body is to be taken as UTF-8.
fn charset_of(body: &[u8], content_type: &str) -> Option<&'static Encoding> {
    if let Some((marked, _)) = Encoding::for_bom(body) {
        return Some(marked).filter(|encoding| *encoding != UTF_8);
    }
    match body {
        // JSON begins with an ASCII character.
        [b'{' | b'[', 0, ..] => return Some(UTF_16LE),
        [0, b'{' | b'[', ..] => return Some(UTF_16BE),
        _ => {}
    }
    let label = content_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })?;
    let named = Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != UTF_8)?;
    // Servers name a charset by default, whatever they send. What is UTF-8 throughout is hardly ever anything else.
    let is_ascii_safe = named.is_ascii_compatible();
    (!is_ascii_safe || std::str::from_utf8(body).is_err()).then_some(named)
}

/// Without the byte order mark that some programs write before UTF-8.
fn without_mark(body: Bytes) -> Bytes {
    if body.starts_with(b"\xEF\xBB\xBF") { body.slice(3..) } else { body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const MOST: usize = 1 << 20;

    fn plain(body: &[u8], packing: &str, content_type: &str) -> Result<Vec<u8>, NotPlain> {
        make_plain(Bytes::copy_from_slice(body), packing, content_type, MOST).map(|plain| plain.to_vec())
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(text).expect("packed");
        packer.finish().expect("packed")
    }

    #[test]
    fn packed_answers_are_unpacked_whether_they_say_so_or_not() {
        let text = "{\"name\":\"订单\"}".as_bytes();
        for packing in ["gzip", "", "GZIP", "identity, gzip", "x-gzip"] {
            assert_eq!(plain(&gzip(text), packing, "").as_deref(), Ok(text), "{packing}");
        }
        assert_eq!(plain(&gzip(&gzip(text)), "gzip, gzip", "").as_deref(), Ok(text));
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(text).expect("packed");
        assert_eq!(plain(&packer.finish().expect("packed"), "deflate", "").as_deref(), Ok(text));
        assert_eq!(plain(&zstd::encode_all(text, 1).expect("packed"), "zstd", "").as_deref(), Ok(text));
        assert_eq!(plain(b"", "gzip", ""), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_unpacked_is_named() {
        let error = plain(b"xyz", "br", "").expect_err("not known");
        assert!(matches!(error, NotPlain::Packed { encoding, .. } if encoding == "br"));
        assert!(matches!(plain(b"xyz", "gzip", ""), Err(NotPlain::Packed { .. })));
        let bomb = gzip(&vec![b' '; MOST + 1]);
        assert_eq!(plain(&bomb, "gzip", ""), Err(NotPlain::TooLarge));
    }

    #[test]
    fn other_charsets_are_decoded() {
        let text = "{\"name\":\"订单\"}";
        let (gbk, _, _) = encoding_rs::GBK.encode(text);
        assert_eq!(plain(&gbk, "", "application/json; charset=gb2312").as_deref(), Ok(text.as_bytes()));
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(plain(&little, "", "").as_deref(), Ok(text.as_bytes()));
        assert_eq!(plain(&[&b"\xFE\xFF"[..], &big].concat(), "", "").as_deref(), Ok(text.as_bytes()));
        assert_eq!(plain(b"\xEF\xBB\xBF{}", "", "").as_deref(), Ok(&b"{}"[..]));
        // UTF-8 under the default label of a server stays what it is.
        assert_eq!(
            plain(text.as_bytes(), "", "text/html; charset=ISO-8859-1").as_deref(),
            Ok(text.as_bytes())
        );
        assert_eq!(
            plain(b"\"caf\xE9\"", "", "a/b; charset=\"latin1\"").as_deref(),
            Ok("\"café\"".as_bytes())
        );
        assert_eq!(plain(text.as_bytes(), "", "a/b; charset=klingon").as_deref(), Ok(text.as_bytes()));
        assert_eq!(plain(text.as_bytes(), "", "a/b; charset=gbk").as_deref(), Ok(text.as_bytes()));
        let long = "订单".repeat(20_000);
        let (gbk, _, _) = encoding_rs::GBK.encode(&long);
        assert_eq!(plain(&gbk, "", "a/b; charset=gbk").as_deref(), Ok(long.as_bytes()));
    }

    #[test]
    fn damage_in_another_charset_stays_damage_at_its_place() {
        let (gbk, _, _) = encoding_rs::GBK.encode("[\"订单\",\"");
        let body = [&gbk[..], b"\x81\"]"].concat();
        let decoded = plain(&body, "", "a/b; charset=gbk").expect("decoded");
        assert!(decoded.starts_with("[\"订单\",\"".as_bytes()) && decoded.contains(&DAMAGED));
        assert!(decoded.ends_with(b"\"]"), "{decoded:?}");
    }
}
