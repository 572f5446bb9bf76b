package enrich

import "net/netip"

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
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.Addr().String()
}
