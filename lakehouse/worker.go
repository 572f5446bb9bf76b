package lakehouse

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// WorkerArgument is the argument with which a binary that imports package
// sqlworker runs one SQL query and nothing else.
const WorkerArgument = wire.WorkerArgument

// maxReplyLine bounds one line of the worker's answer; its description of the
// result's columns is the longest.
const maxReplyLine = 4 << 20

// maxWorkerNoise is how much of the worker's dying words goes into the log.
const maxWorkerNoise = 2 << 10

// worker is a process that waits for its one request.
type worker struct {
	lake  *Lake
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   io.Reader
	noise *headBuffer
}

// startWorker starts a worker process in dir. It is killed when ctx ends. Call
// ask or drop.
func (l *Lake) startWorker(ctx context.Context, dir string) (*worker, error) {
	argv := l.cfg.Worker
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own binary: %w", err)
		}
		argv = []string{self, WorkerArgument}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator's own binary
	cmd.Env = []string{}                                  // no secrets, nothing to read
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	w := &worker{lake: l, cmd: cmd, noise: &headBuffer{max: maxWorkerNoise}}
	cmd.Stderr = w.noise
	dieWithParent(cmd)
	var err error
	if w.out, err = cmd.StdoutPipe(); err == nil {
		if w.in, err = cmd.StdinPipe(); err == nil {
			err = cmd.Start()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("start SQL worker: %w", err)
	}
	return w, nil
}

// drop ends a worker that is not wanted any more.
func (w *worker) drop() {
	_ = w.cmd.Process.Kill() // it may have ended
	_ = w.cmd.Wait()         // killed
}

// ask gives the worker its request and waits for the answer.
func (w *worker) ask(ctx context.Context, req wire.Request, progress func(float64)) (*wire.Done, error) {
	input, err := json.Marshal(req)
	if err != nil {
		w.drop()
		return nil, fmt.Errorf("encode query: %w", err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := w.in.Write(input)
		sent <- errors.Join(err, w.in.Close())
	}()
	last, readErr := replies(w.out, progress)
	waitErr := w.cmd.Wait()
	readErr = errors.Join(readErr, <-sent)
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	switch {
	case last.Error != nil:
		return nil, &QueryError{Code: last.Error.Code, Message: last.Error.Message, ran: last.Error.Ran}
	case last.Done != nil && waitErr == nil:
		return last.Done, nil
	}
	w.lake.cfg.Logger.Warn("lakehouse_sql_worker_died", "error", errors.Join(readErr, waitErr), "stderr", w.noise.String())
	return nil, &QueryError{Code: CodeWorker, Message: "query needed more memory, time or disk than it may have, and was stopped"}
}

// replies reads the worker's lines and gives the last.
func replies(out io.Reader, progress func(float64)) (last wire.Reply, err error) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxReplyLine)
	for lines.Scan() {
		var r wire.Reply
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			_, _ = io.Copy(io.Discard, out)
			return wire.Reply{}, fmt.Errorf("read SQL worker's reply: %w", err)
		}
		if r.Progress != nil {
			if progress != nil {
				progress(*r.Progress)
			}
			continue
		}
		last = r
	}
	err = lines.Err()
	_, _ = io.Copy(io.Discard, out)
	return last, err
}

// headBuffer keeps the first bytes written to it.
type headBuffer struct {
	bytes.Buffer
	max int
}

func (b *headBuffer) Write(p []byte) (int, error) {
	if room := b.max - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
