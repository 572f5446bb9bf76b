package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"sync"
)

// process is a worker that waits for its one program, or runs it.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	noise headBuffer
	once  sync.Once
	done  chan struct{}
}

// maxNoise is how much of a worker's dying words goes into the log.
const maxNoise = 2 << 10

// start starts a worker, which then waits for a program.
func (s *Sandbox) start() (*process, error) {
	argv, err := s.command()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), noise: headBuffer{max: maxNoise}, done: make(chan struct{})} //nolint:gosec,noctx // the operator's own binary; it is killed by hand, as it may wait for long
	p.cmd.Env = []string{"GOMAXPROCS=2"}                                                                                // no secrets, nothing to read
	p.cmd.Dir = "/"
	p.cmd.Stderr = &p.noise
	alone(p.cmd)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(out, 64<<10)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	return p, nil
}

// take gives a waiting worker, or a new one, and has the next one started.
func (s *Sandbox) take() (*process, error) {
	defer s.refill()
	select {
	case p := <-s.spare:
		return p, nil
	default:
		return s.start()
	}
}

// refill starts a spare worker in the background.
func (s *Sandbox) refill() {
	if cap(s.spare) == 0 || !s.enter() {
		return
	}
	go func() {
		defer s.ended.Done()
		if len(s.spare) == cap(s.spare) {
			return
		}
		p, err := s.start()
		if err != nil {
			return // the next program says so
		}
		select {
		case s.spare <- p:
		default:
			p.kill()
		}
	}()
}

// kill ends the worker, whatever it does, and waits until it is gone.
func (p *process) kill() {
	p.once.Do(func() {
		defer close(p.done)
		_ = p.in.Close()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // killed is what it is
	})
	<-p.done
}

// headBuffer keeps the first bytes written to it.
type headBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
	max int
}

func (b *headBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := b.max - b.buf.Len(); room > 0 {
		b.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *headBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
