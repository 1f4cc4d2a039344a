//! Blocks of addresses, and every way in which a word can mean one.
//!
//! All of them are ranges in the space of IPv6, where an IPv4 address is the one that `::ffff:0:0/96` maps it to. Who reads
//! a word on the other side is not known, so what can be read in two ways is read in both.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Where the mapped IPv4 addresses begin.
const V4: u128 = 0xffff_0000_0000;
/// Prefixes of IPv6 in which the last 32 bits are an IPv4 address: the deprecated compatible ones, and NAT64.
const WITH_V4: [u128; 2] = [0, 0x0064_ff9b << 96];
/// The first number that is taken for a whole IPv4 address: below it, most numbers are something else.
const FIRST_NUMBER: u64 = 1 << 24;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    low: u128,
    high: u128,
}

impl Block {
    /// The block that an operator writes: an address, or a network as in `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Block> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
            None => (text, None),
        };
        match address.parse().ok()? {
            IpAddr::V4(address) => Block::network(V4 + u128::from(address.to_bits()), 96, 32, prefix),
            IpAddr::V6(address) => Block::network(address.to_bits(), 0, 128, prefix),
        }
    }

    fn network(address: u128, before: u32, bits: u32, prefix: Option<u32>) -> Option<Block> {
        let prefix = prefix.unwrap_or(bits);
        let rest = 128 - before - prefix.min(bits);
        let mask = 1_u128.checked_shl(rest).unwrap_or(0).wrapping_sub(1);
        (prefix <= bits).then_some(Block { low: address & !mask, high: address | mask })
    }

    /// Whether the two have an address in common.
    pub(super) fn overlaps(self, other: Block) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// Whether it holds more addresses than a network with these prefixes.
    pub(super) fn is_wider_than(self, v4: u8, v6: u8) -> bool {
        let is_v4 = self.low >= V4 && self.high <= V4 + u128::from(u32::MAX);
        let rest = if is_v4 { 32 - u32::from(v4.min(32)) } else { 128 - u32::from(v6.min(128)) };
        1_u128.checked_shl(rest).is_some_and(|most| self.high - self.low >= most)
    }

    /// Whether it is a single address.
    pub(super) fn is_one(self) -> bool {
        self.low == self.high
    }

    /// Whether it is the address that stands for all of them.
    pub(super) fn is_unspecified(self) -> bool {
        self.is_one() && (self.low == 0 || self.low == V4)
    }

    /// The blocks of IPv4 that stand inside an IPv6 address.
    fn embedded(self) -> impl Iterator<Item = Block> {
        let last = WITH_V4.into_iter().filter_map(move |prefix| {
            let is_inside = self.low >> 32 == prefix >> 32 && self.high >> 32 == prefix >> 32;
            // `::` and `::1` are addresses of their own.
            let is_v4 = is_inside && (prefix != 0 || self.high > 0xffff);
            is_v4.then(|| Block { low: V4 + (self.low - prefix), high: V4 + (self.high - prefix) })
        });
        let is_6to4 = self.low >> 80 == self.high >> 80 && self.low >> 112 == 0x2002;
        let address = V4 + ((self.low >> 80) & u128::from(u32::MAX));
        last.chain(is_6to4.then_some(Block { low: address, high: address }))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.high - self.low;
        let (address, bits) = match Ipv6Addr::from_bits(self.low).to_ipv4_mapped() {
            Some(v4) if self.high <= V4 + u128::from(u32::MAX) => (IpAddr::V4(v4), 32),
            _ => (IpAddr::V6(Ipv6Addr::from_bits(self.low)), 128),
        };
        match bits - (128 - size.leading_zeros()) {
            whole if whole == bits => write!(f, "{address}"),
            prefix => write!(f, "{address}/{prefix}"),
        }
    }
}

/// Every block that a word can mean; empty where it is no address.
pub(super) fn read(word: &str) -> Vec<Block> {
    let word = word.trim().trim_end_matches('.');
    if !word.contains(|c: char| c.is_ascii_digit() || c == ':') {
        return Vec::new();
    }
    let mut blocks = single(word);
    if let Some((address, mask)) = word.split_once('/') {
        blocks.extend(network(address, mask));
    } else if let Some((low, high)) = word.split_once('-') {
        blocks.extend(range(low, high));
    } else if word.contains('*') {
        blocks.extend(wildcard(word));
    }
    let embedded: Vec<Block> = blocks.iter().flat_map(|block| block.embedded()).collect();
    blocks.extend(embedded);
    blocks
}

fn single(word: &str) -> Vec<Block> {
    // A zone says which interface, not which address.
    let without_zone = word.split_once('%').map_or(word, |(address, _)| address);
    if let Ok(address) = without_zone.parse::<Ipv6Addr>() {
        return vec![Block { low: address.to_bits(), high: address.to_bits() }];
    }
    let at = |address: u32| Block { low: V4 + u128::from(address), high: V4 + u128::from(address) };
    v4(word).into_iter().map(at).collect()
}

/// The IPv4 addresses that a word can mean: as people read it, and as `inet_aton` does, which takes a leading zero for
/// octal, `0x` for hexadecimal, and fewer than four parts.
fn v4(word: &str) -> Vec<u32> {
    let parts: Vec<&str> = word.split('.').collect();
    let decimal = |part: &str| if is_digits(part) { part.parse().ok() } else { None };
    let mut found = Vec::new();
    for reading in [&decimal as &dyn Fn(&str) -> Option<u64>, &c_number] {
        let numbers: Option<Vec<u64>> = parts.iter().map(|part| reading(part)).collect();
        let address = numbers.and_then(|numbers| joined(&numbers));
        found.extend(address.filter(|address| !found.contains(address)));
    }
    found
}

fn joined(numbers: &[u64]) -> Option<u32> {
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 || first.iter().any(|number| *number > 255) {
        return None;
    }
    let bits = 32 - 8 * u32::try_from(first.len()).ok()?;
    let is_taken = *last < 1 << bits && (!first.is_empty() || *last >= FIRST_NUMBER);
    let high = first.iter().fold(0, |high, number| (high << 8) | number);
    is_taken.then(|| u32::try_from((high << bits) | last).ok()).flatten()
}

fn c_number(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    let is_octal = text.len() > 1 && text.starts_with('0');
    is_digits(text).then(|| u64::from_str_radix(text, if is_octal { 8 } else { 10 }).ok()).flatten()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `10.0.0.0/8`, `10.0/16`, `10.0.0.0/255.0.0.0`.
fn network(address: &str, mask: &str) -> Vec<Block> {
    let prefix = match mask.parse::<u32>() {
        Ok(prefix) => Some(prefix),
        Err(_) => v4(mask).first().map(|mask| mask.leading_ones()),
    };
    let parts = address.split('.').count();
    let filled = if (2..4).contains(&parts) {
        format!("{address}{}", ".0".repeat(4 - parts))
    } else {
        address.to_owned()
    };
    let network = |block: Block| match prefix {
        Some(prefix) if block.low >= V4 && block.low <= V4 + u128::from(u32::MAX) && prefix <= 32 => {
            Block::network(block.low, 96, 32, Some(prefix))
        }
        prefix => Block::network(block.low, 0, 128, prefix),
    };
    // Shorter than four numbers it can mean two networks.
    let mut starts = single(&filled);
    if filled != address {
        starts.extend(single(address));
    }
    starts.into_iter().filter(|_| prefix.is_some()).filter_map(network).collect()
}

/// `10.0.0.1-10.0.0.9`, `10.0.0.1-9`.
fn range(low: &str, high: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for first in single(low.trim()) {
        for last in single(high.trim()) {
            blocks.push(Block { low: first.low.min(last.low), high: first.high.max(last.high) });
        }
        if let Ok(last) = high.trim().parse::<u8>()
            && low.contains('.')
        {
            blocks.push(Block { low: first.low, high: (first.low & !0xff) | u128::from(last) });
        }
    }
    blocks.retain(|block| block.low <= block.high);
    blocks
}

/// `10.0.0.*`, `10.*`.
fn wildcard(word: &str) -> Vec<Block> {
    let parts = word.split('.').take_while(|part| *part != "*");
    let fixed: Vec<&str> = parts.collect();
    let is_v4 = word.split('.').all(|part| part == "*" || is_digits(part));
    if !is_v4 || fixed.is_empty() || fixed.len() > 3 {
        return Vec::new();
    }
    let prefix = 8 * fixed.len();
    let address = format!("{}{}", fixed.join("."), ".0".repeat(4 - fixed.len()));
    network(&address, &prefix.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hits(protected: &str, word: &str) -> bool {
        let protected = Block::parse(protected).unwrap();
        read(word).into_iter().any(|block| block.overlaps(protected))
    }

    #[test]
    fn an_address_is_found_however_it_is_written() {
        let ways = [
            "10.0.0.1",
            " 10.0.0.1 ",
            "10.0.0.1.",
            "010.000.000.001",
            "012.0.0.1",
            "0xa.0.0.1",
            "10.1",
            "10.0.1",
            "167772161",
            "0x0a000001",
            "::ffff:10.0.0.1",
            "::ffff:a00:1",
            "0:0:0:0:0:ffff:0a00:0001",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::",
            "10.0.0.0/8",
            "10.0/16",
            "10.0.0.1/32",
            "0.0.0.0/0",
            "::/0",
            "::ffff:0:0/96",
            "10.0.0.0/255.255.255.0",
            "10.0.0.0-10.0.0.255",
            "9.0.0.0-11.0.0.0",
            "10.0.0.0-5",
            "10.0.0.*",
            "10.*",
            "10.*.*.*",
        ];
        for way in ways {
            assert!(hits("10.0.0.1", way), "{way}");
        }
        for other in
            ["10.0.0.2", "10.0.0.2-9", "1.0.0.10", "10.0.1.0/24", "::1", "2001:db8::10.0.0.1", "web-01", "10"]
        {
            assert!(!hits("10.0.0.1", other), "{other}");
        }
    }

    #[test]
    fn an_address_of_version_6_is_found_too() {
        for way in [
            "2001:db8::1",
            "2001:0DB8:0::0001",
            "2001:db8::1%eth0",
            "2001:db8::/32",
            "2001:db8::1-2001:db8::9",
        ] {
            assert!(hits("2001:db8::/64", &way.to_lowercase()), "{way}");
        }
        assert!(!hits("2001:db8::/64", "2001:db8:1::1"));
        assert!(!hits("2001:db8::/64", "10.0.0.1"));
    }

    #[test]
    fn a_wide_block_is_one_with_more_addresses_than_a_network_of_the_limit() {
        let is_wide = |word: &str| read(word).into_iter().any(|block| block.is_wider_than(24, 64));
        for word in [
            "10.0.0.0/23",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/63",
            "10.0.0.0-10.0.1.0",
            "10.0.*",
            "::ffff:0:0/96",
        ] {
            assert!(is_wide(word), "{word}");
        }
        for word in ["10.0.0.0/24", "10.0.0.7", "2001:db8::/64", "10.0.0.0-255", "::ffff:10.0.0.0/120"] {
            assert!(!is_wide(word), "{word}");
        }
        assert!(
            Block::parse("0.0.0.0").unwrap().is_unspecified() && Block::parse("::").unwrap().is_unspecified()
        );
    }

    #[test]
    fn what_an_operator_writes_is_read_strictly_and_shown_as_it_was_meant() {
        for text in ["10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "::1", "0.0.0.0/0", "::/0"] {
            assert_eq!(Block::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Block::parse("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        for text in ["10.0.0.0/33", "010.0.0.1", "10.1", "web", "10.0.0.0/", "::/129", ""] {
            assert_eq!(Block::parse(text), None, "{text}");
        }
    }

    proptest! {
        /// Whatever network holds a protected address, and whichever way it is written, is found.
        #[test]
        fn no_network_hides_an_address(address: u32, prefix in 0u32..=32) {
            let protected = IpAddr::from(address.to_be_bytes()).to_string();
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            let network = std::net::Ipv4Addr::from_bits(address & mask);
            let dotted = std::net::Ipv4Addr::from_bits(mask);
            for way in [
                format!("{network}/{prefix}"),
                format!("{network}/{dotted}"),
                format!("::ffff:{network}/{}", 96 + prefix),
                format!("{network}-{}", std::net::Ipv4Addr::from_bits(address | !mask)),
            ] {
                prop_assert!(hits(&protected, &way), "{} in {}", protected, way);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-fx.:/*%-]{0,24}") {
            for block in read(&text) {
                prop_assert!(block.low <= block.high);
                let _ = block.to_string();
            }
        }
    }
}
