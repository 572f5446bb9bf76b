// Package config reads the gateway's one configuration file.
//
// [Load] decodes it strictly over [Default] and reports every fault at once,
// each with its line and what was probably meant. A value written as ${NAME}
// is taken from the environment, so that secrets need not stand in the file.
// [Config.Print] writes the effective configuration with secrets redacted.
package config
