//! A range of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// A range of addresses; an IPv4 address that is written as an IPv6 one (RFC 4291, section 2.5.5.2)
/// is the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// The prefix of IPv4 addresses that are written as IPv6 ones.
const MAPPED: u8 = 96;

impl Network {
    /// `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`. No names: whoever answers for a name could
    /// open the door.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Network, String> {
        let Some(net) = literal(text) else {
            return Err(format!(
                "{text:?} is no address; expected a literal one such as 203.0.113.0/24 or 2001:db8::/32"
            ));
        };
        match net == net.trunc() {
            true => Ok(Network(fold(net))),
            false => Err(format!(
                "{text} has bits beyond its prefix; did you mean {}?",
                net.trunc()
            )),
        }
    }

    /// Whether the host, as `PAM_RHOST` has it, is a literal address in this range.
    pub fn contains(&self, rhost: &str) -> bool {
        let address = match rhost.split_once('%') {
            None => rhost.parse::<IpAddr>().ok(),
            Some((address, _)) => link_local(address),
        };
        address.is_some_and(|address| self.0.contains(&address.to_canonical()))
    }

    /// Whether it is every address there is.
    pub fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

/// Strict where `ipnet` is not: `010.0.0.0/8` is 8.0.0.0/8 to inet_aton(3), and 10.0.0.0/8 to others.
fn literal(text: &str) -> Option<IpNet> {
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse::<IpAddr>().map(IpNet::from).ok();
    };
    let length = prefix.parse::<u8>().ok()?;
    let plain = length.to_string() == prefix;
    let net = IpNet::new(address.parse().ok()?, length).ok()?;
    plain.then_some(net)
}

/// The only kind of address that has a zone (RFC 4007, section 11).
fn link_local(address: &str) -> Option<IpAddr> {
    let address = address.parse::<Ipv6Addr>().ok()?;
    address.is_unicast_link_local().then_some(address.into())
}

fn fold(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let prefix = v6.prefix_len().checked_sub(MAPPED);
    let mapped = v6.network().to_ipv4_mapped().zip(prefix);
    match mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()) {
        Some(v4) => IpNet::V4(v4),
        None => net,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, rhost: &str) -> bool {
        Network::parse(network).unwrap().contains(rhost)
    }

    #[test]
    fn literal_addresses_alone_are_inside() {
        assert!(contains("203.0.113.0/24", "203.0.113.255"));
        assert!(contains("203.0.113.7", "203.0.113.7"));
        assert!(contains("2001:db8::/32", "2001:DB8:1::1"));
        assert!(contains("fe80::/10", "fe80::1%eth0"));
        for (network, rhost) in [
            ("203.0.113.0/24", "203.0.114.1"),
            ("203.0.113.7", "203.0.113.8"),
            ("203.0.113.0/24", "203.0.113.7.example.org"),
            ("203.0.113.0/24", "203.0.113"),
            ("203.0.113.0/24", " 203.0.113.7"),
            ("127.0.0.0/8", "localhost"),
            ("203.0.113.0/24", "203.0.113.7%eth0"),
            ("2001:db8::/32", "2001:db8::1%example.org"),
            ("203.0.113.0/24", "::ffff:203.0.113.7%x"),
            ("0.0.0.0/0", "host.example.org"),
            ("0.0.0.0/0", ""),
            ("0.0.0.0/0", "::1"),
            ("::/0", "203.0.113.7"),
            ("127.0.0.0/8", "0177.0.0.1"),
            ("127.0.0.0/8", "2130706433"),
        ] {
            assert!(!contains(network, rhost), "{network} {rhost}");
        }
    }

    #[test]
    fn mapped_addresses_are_folded_on_both_sides() {
        for network in ["203.0.113.0/24", "::ffff:203.0.113.0/120"] {
            for rhost in ["203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107"] {
                assert!(contains(network, rhost), "{network} {rhost}");
            }
        }
        assert!(!contains("203.0.113.0/24", "::203.0.113.7"));
        assert!(contains("::ffff:0:0/96", "192.0.2.1"));
        assert!(Network::parse("::ffff:0:0/96").unwrap().is_everything());
    }

    #[test]
    fn everything_else_is_a_problem() {
        for text in [
            "",
            "localhost",
            "203.0.113",
            "203.0.113.0/33",
            "10/8",
            "*",
            "any",
            "1.2.3.4 /8",
            "010.0.0.0/8",
            "10.0.0.0/08",
            "2001:db8::/+32",
        ] {
            assert!(
                Network::parse(text).unwrap_err().contains("literal"),
                "{text}"
            );
        }
        let problem = Network::parse("192.168.1.5/24").unwrap_err();
        assert!(
            problem.ends_with("did you mean 192.168.1.0/24?"),
            "{problem}"
        );
        assert_eq!(
            Network::parse("::/0").map(|all| all.is_everything()),
            Ok(true)
        );
    }
}
