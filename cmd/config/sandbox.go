package config

import "time"

// Sandbox bounds one program of a user's or an agent's: MCP's do, and stored
// handlers. What is 0 has the sandbox's own default.
type Sandbox struct {
	// Timeout is how long a program may run, its calls included.
	Timeout time.Duration `yaml:"timeout"`
	// Memory is what its heap may hold.
	Memory Size `yaml:"memory"`
	// Calls is how many calls of $ it may make, Changes how many of them may
	// change something.
	Calls   int `yaml:"calls"`
	Changes int `yaml:"changes"`
	// Operations is how many functions it may call and turns of loops it may
	// take.
	Operations int64 `yaml:"operations"`
}

// faults reports what is wrong with the limits of programs and of requests.
func (s Sandbox) faults(fault func(path, format string, args ...any)) {
	for path, n := range map[string]int64{"calls": int64(s.Calls), "changes": int64(s.Changes), "operations": s.Operations} {
		if n < 0 {
			fault("sandbox."+path, "%d is negative", n)
		}
	}
	if s.Timeout != 0 && (s.Timeout < 100*time.Millisecond || s.Timeout > 5*time.Minute) {
		fault("sandbox.timeout", "%s must be from 100ms to 5m", s.Timeout)
	}
	if s.Memory != 0 && (s.Memory < 8<<20 || s.Memory > 4<<30) {
		fault("sandbox.memory", "%s must be from 8MB to 4GB", s.Memory)
	}
}
