package enrich

import "net/netip"

// Networks that addresses are cut to.
const (
	bits4 = 24
	bits6 = 48
)

// truncate cuts an address to its network.
func truncate(a netip.Addr) netip.Addr {
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

// TruncateIP cuts an address to its network: IPv4 to /24, IPv6 to /48. What is
// no address becomes "".
func TruncateIP(s string) string {
	if s == "" {
		return ""
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return ""
	}
	return truncate(a.Unmap().WithZone("")).String()
}
