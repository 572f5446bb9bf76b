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

// WorkerArgument is the hidden argument with which this binary runs one SQL
// query; cmd then calls sqlworker.Main.
const WorkerArgument = "sql-worker"

// maxReplyLine bounds one line of the worker's answer; its description of the
// result's columns is the longest.
const maxReplyLine = 4 << 20

// maxWorkerNoise is how much of the worker's dying words goes into the log.
const maxWorkerNoise = 2 << 10

// work runs a request in a worker process and kills it when ctx ends.
func (l *Lake) work(ctx context.Context, req wire.Request, progress func(float64)) (*wire.Done, error) {
	argv := l.cfg.Worker
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own binary: %w", err)
		}
		argv = []string{self, WorkerArgument}
	}
	input, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode query: %w", err)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator's own binary
	cmd.Env = []string{}                                  // no secrets, nothing to read
	cmd.Dir = req.Temp
	if err := os.MkdirAll(req.Temp, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for query: %w", err)
	}
	cmd.Stdin = bytes.NewReader(input)
	cmd.WaitDelay = time.Second
	noise := &headBuffer{max: maxWorkerNoise}
	cmd.Stderr = noise
	dieWithParent(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start SQL worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start SQL worker: %w", err)
	}
	last, readErr := replies(out, progress)
	waitErr := cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	switch {
	case last.Error != nil:
		return nil, &QueryError{Code: last.Error.Code, Message: last.Error.Message, ran: last.Error.Ran}
	case last.Done != nil && waitErr == nil:
		return last.Done, nil
	}
	l.cfg.Logger.Warn("lakehouse_sql_worker_died", "error", errors.Join(readErr, waitErr), "stderr", noise.String())
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
