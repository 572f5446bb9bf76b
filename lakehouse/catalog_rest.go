package lakehouse

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog/rest"
	iceio "github.com/apache/iceberg-go/io"
	_ "github.com/apache/iceberg-go/io/gocloud/s3" // the s3:// scheme
)

// newRESTCatalog connects to an Iceberg REST catalog. The catalog gives the
// warehouse's location and, where it can, credentials for it.
func newRESTCatalog(ctx context.Context, cfg Config) (*catalog, error) {
	c := cfg.Catalog
	props := iceberg.Properties{}
	for key, value := range map[string]string{
		iceio.S3EndpointURL: cfg.S3.Endpoint, iceio.S3Region: cfg.S3.Region, iceio.S3AccessKeyID: cfg.S3.AccessKeyID,
		iceio.S3SecretAccessKey: cfg.S3.SecretAccessKey.Reveal(), iceio.S3SessionToken: cfg.S3.SessionToken.Reveal(),
	} {
		if value != "" {
			props[key] = value
		}
	}
	opts := []rest.Option{rest.WithAdditionalProps(props)}
	if c.Warehouse != "" {
		opts = append(opts, rest.WithWarehouseLocation(c.Warehouse))
	}
	if c.Prefix != "" {
		opts = append(opts, rest.WithPrefix(c.Prefix))
	}
	if c.Token.Set() {
		opts = append(opts, rest.WithOAuthToken(c.Token.Reveal()))
	}
	if c.Credential.Set() {
		opts = append(opts, rest.WithCredential(c.Credential.Reveal()))
	}
	if c.SigV4 != "" {
		opts = append(opts, rest.WithSigV4RegionSvc(cfg.S3.Region, c.SigV4))
	} else { // a signed body must stay as it is
		opts = append(opts, rest.WithCustomTransport(catalogTransport{&http.Transport{Proxy: http.ProxyFromEnvironment}}))
	}
	if c.Scope != "" {
		opts = append(opts, rest.WithScope(c.Scope))
	}
	if c.AuthURI != "" {
		u, err := url.Parse(c.AuthURI)
		if err != nil {
			return nil, fmt.Errorf("catalog's authUri: %w", err)
		}
		opts = append(opts, rest.WithAuthURI(u))
	}
	inner, err := rest.NewCatalog(ctx, "headlessly", c.URI, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to catalog %s: %w", c.URI, err)
	}
	return &catalog{Catalog: inner, fs: newDurableFS(), step: func(string) {}}, nil
}
