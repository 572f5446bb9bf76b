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
	"path/filepath"
	"strings"
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
	lake   *Lake
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *os.File
	noise  *headBuffer
	waited bool // it was started for a query that was not there yet
	exited chan struct{}
	err    error // of the process, once it has exited
}

// takeWorker gives the worker that waits for a query, or starts one, and has the
// next one started meanwhile. It is killed when ctx ends. Call ask or drop.
func (l *Lake) takeWorker(ctx context.Context) (*worker, error) {
	w := l.spare.take()
	if w != nil {
		w.waited = true
		context.AfterFunc(ctx, w.kill)
	} else {
		var err error
		if w, err = l.freshWorker(ctx); err != nil {
			return nil, err
		}
	}
	if l.cfg.SpareWorker {
		l.spare.fill(l.startWorker)
	}
	return w, nil
}

// freshWorker starts a worker. It is killed when ctx ends.
func (l *Lake) freshWorker(ctx context.Context) (*worker, error) {
	w, err := l.startWorker()
	if err == nil {
		context.AfterFunc(ctx, w.kill)
	}
	return w, err
}

// startWorker starts a worker process.
func (l *Lake) startWorker() (*worker, error) {
	argv := l.cfg.Worker
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own binary: %w", err)
		}
		argv = []string{self, WorkerArgument}
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // the operator's own binary; kill ends it
	cmd.Env = []string{}                      // no secrets, nothing to read
	cmd.Dir = l.cfg.TempDir
	cmd.WaitDelay = time.Second
	w := &worker{lake: l, cmd: cmd, noise: &headBuffer{max: maxWorkerNoise}, exited: make(chan struct{})}
	cmd.Stderr = w.noise
	dieWithParent(cmd)
	out, far, err := os.Pipe()
	if err == nil {
		w.out, cmd.Stdout = out, far
		if w.in, err = cmd.StdinPipe(); err == nil {
			err = cmd.Start()
		}
		err = errors.Join(err, far.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("start SQL worker: %w", err)
	}
	go func() {
		w.err = cmd.Wait()
		close(w.exited)
	}()
	return w, nil
}

// errDiedWaiting means that the process ended before it had a query.
var errDiedWaiting = errors.New("the SQL worker died while it waited for a query")

func (w *worker) kill() { _ = w.cmd.Process.Kill() } // it may have ended

// drop ends a worker that is not wanted any more.
func (w *worker) drop() {
	w.kill()
	<-w.exited
	_ = w.out.Close() // nothing more is read
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
	last, heard, readErr := replies(w.out, progress)
	<-w.exited
	sendErr := <-sent
	readErr = errors.Join(readErr, sendErr, w.out.Close())
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	switch {
	case last.Error != nil:
		return nil, &QueryError{Code: last.Error.Code, Message: w.lake.withoutPaths(last.Error.Message, req), ran: last.Error.Ran}
	case last.Done != nil && w.err == nil:
		return last.Done, nil
	case w.waited && !heard: // what was sent may lie in the pipe
		return nil, errDiedWaiting
	}
	w.lake.cfg.Logger.Warn("lakehouse_sql_worker_died", "error", errors.Join(readErr, w.err), "stderr", w.noise.String())
	return nil, &QueryError{Code: CodeWorker, Message: "query needed more memory, time or disk than it may have, and was stopped"}
}

// withoutPaths takes out of a message where this machine has its files: who asks
// may be a tenant.
func (l *Lake) withoutPaths(message string, req wire.Request) string {
	var pairs []string
	for _, t := range req.Tables {
		for _, path := range t.Files {
			pairs = append(pairs, path, filepath.Base(path))
		}
	}
	for _, dir := range []string{filepath.Dir(req.Result), l.cfg.TempDir, l.cfg.Dir} {
		pairs = append(pairs, dir+string(filepath.Separator), "", dir, "…")
	}
	return strings.NewReplacer(pairs...).Replace(message)
}

// replies reads the worker's lines and gives the last. heard says that there was
// one: the first comes when the request has been read.
func replies(out io.Reader, progress func(float64)) (last wire.Reply, heard bool, err error) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxReplyLine)
	for ; lines.Scan(); heard = true {
		var r wire.Reply
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			_, _ = io.Copy(io.Discard, out)
			return wire.Reply{}, true, fmt.Errorf("read SQL worker's reply: %w", err)
		}
		if r.Progress != nil {
			if heard && progress != nil { // the first is no progress
				progress(*r.Progress)
			}
			continue
		}
		last = r
	}
	err = lines.Err()
	_, _ = io.Copy(io.Discard, out)
	return last, heard, err
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
