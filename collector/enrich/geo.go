package enrich

import (
	"errors"
	"fmt"
	"net/netip"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/headlessly/headlessly"
)

// geoCacheSize bounds the decoded records of one file: many networks share one.
const geoCacheSize = 16 << 10

// geo is the open databases.
type geo struct{ files []*geoFile }

type geoFile struct {
	db    *maxminddb.Reader
	known *lru.Cache[uintptr, *place] // by the record's offset
}

// place is what a record tells.
type place struct {
	Country struct {
		ISO string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Subdivisions []struct {
		ISO   string `maxminddb:"iso_code"`
		Names struct {
			English string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"subdivisions"`
	City struct {
		Names struct {
			English string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"city"`
	ASN int64 `maxminddb:"autonomous_system_number"`
}

func openGeo(paths []string) (*geo, error) {
	g := &geo{}
	for _, path := range paths {
		db, err := maxminddb.Open(path)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open geo file %s: %w", path, err), g.close())
		}
		known, err := lru.New[uintptr, *place](geoCacheSize)
		if err != nil {
			return nil, errors.Join(err, db.Close(), g.close())
		}
		g.files = append(g.files, &geoFile{db: db, known: known})
	}
	return g, nil
}

func (g *geo) close() error {
	var errs []error
	for _, f := range g.files {
		errs = append(errs, f.db.Close())
	}
	return errors.Join(errs...)
}

// place fills country, region, city and autonomous system from the whole
// address. An address that no file knows fills nothing.
func (g *geo) place(e *headlessly.Event, ip netip.Addr) {
	for _, f := range g.files {
		p := f.look(ip)
		if p == nil {
			continue
		}
		fill(&e.Country, p.Country.ISO)
		if len(p.Subdivisions) > 0 {
			fill(&e.Region, p.Subdivisions[0].Names.English)
			fill(&e.Region, p.Subdivisions[0].ISO)
		}
		fill(&e.City, p.City.Names.English)
		if e.ASN == 0 {
			e.ASN = p.ASN
		}
	}
}

func (f *geoFile) look(ip netip.Addr) *place {
	r := f.db.Lookup(ip)
	if r.Err() != nil || !r.Found() {
		return nil
	}
	if p, ok := f.known.Get(r.Offset()); ok {
		return p
	}
	p := new(place)
	if r.Decode(p) != nil {
		return nil
	}
	f.known.Add(r.Offset(), p)
	return p
}
