package eventlog_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A test cluster is three NATS servers, each in a process of its own so that it
// can be killed, on loopback. All connections, between servers and from
// clients, pass through the test, which can cut them.

const (
	nodeDir    = "EVENTLOG_NODE_DIR"
	nodeName   = "EVENTLOG_NODE_NAME"
	nodeRoutes = "EVENTLOG_NODE_ROUTES"
	nodeClient = "EVENTLOG_NODE_CLIENT" // the address that clients are told
)

// runNode is one server. It says its ports and runs until its input ends.
func runNode() int {
	o := &server.Options{
		ServerName: os.Getenv(nodeName), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: os.Getenv(nodeDir), SyncAlways: true,
		ClientAdvertise: os.Getenv(nodeClient),
		Cluster: server.ClusterOpts{
			Name: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true,
			Advertise: "127.0.0.1:1", // so that servers know each other only through the test
		},
	}
	for _, r := range strings.Fields(os.Getenv(nodeRoutes)) {
		u, err := url.Parse(r)
		if err != nil {
			return 2
		}
		o.Routes = append(o.Routes, u)
	}
	s, err := server.NewServer(o)
	if err != nil {
		fmt.Println(err)
		return 2
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return 2
	}
	fmt.Println(s.Addr().String(), s.ClusterAddr().String())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return 0
}

// link forwards connections to a server whose address may change, until it is
// cut.
type link struct {
	l      net.Listener
	target atomic.Pointer[string]
	cut    atomic.Bool
	mu     sync.Mutex
	conns  map[net.Conn]bool
	work   sync.WaitGroup
}

func newLink(t testing.TB) *link {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{l: l, conns: map[net.Conn]bool{}}
	k.work.Go(k.accept)
	t.Cleanup(func() {
		_ = l.Close()
		k.setCut(true)
		k.work.Wait()
	})
	return k
}

func (k *link) addr() string { return k.l.Addr().String() }

func (k *link) accept() {
	for {
		from, err := k.l.Accept()
		if err != nil {
			return
		}
		target := k.target.Load()
		if k.cut.Load() || target == nil {
			_ = from.Close()
			continue
		}
		to, err := new(net.Dialer).DialContext(context.Background(), "tcp", *target)
		if err != nil {
			_ = from.Close()
			continue
		}
		k.hold(from, to)
		if k.cut.Load() {
			k.setCut(true)
		}
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			k.work.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				_, _ = pair[0].Close(), pair[1].Close()
			})
		}
	}
}

func (k *link) hold(conns ...net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range conns {
		k.conns[c] = true
	}
}

// setCut cuts or mends the link; connections do not outlive a cut.
func (k *link) setCut(cut bool) {
	k.cut.Store(cut)
	if !cut {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		_ = c.Close()
	}
	clear(k.conns)
}

// cluster is three nodes.
type cluster struct {
	t      testing.TB
	dir    string
	nodes  [3]*exec.Cmd
	stdin  [3]io.Closer
	routes [3][3]*link // from, to
	client [3]*link
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir()}
	for i := range 3 {
		c.client[i] = newLink(t)
		for j := range 3 {
			if i != j {
				c.routes[i][j] = newLink(t)
			}
		}
	}
	for i := range 3 {
		c.start(i)
	}
	return c
}

func nodeNameOf(i int) string { return fmt.Sprintf("node-%d", i) }

// start runs node i, on the folder it had.
func (c *cluster) start(i int) {
	c.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	var routes []string
	for j := range 3 {
		if i != j {
			routes = append(routes, "nats://"+c.routes[i][j].addr())
		}
	}
	cmd := exec.CommandContext(context.WithoutCancel(c.t.Context()), exe)
	cmd.Env = append(os.Environ(), nodeDir+"="+filepath.Join(c.dir, nodeNameOf(i)), nodeName+"="+nodeNameOf(i),
		nodeRoutes+"="+strings.Join(routes, " "), nodeClient+"="+c.client[i].addr())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.nodes[i], c.stdin[i] = cmd, in
	c.t.Cleanup(func() { c.kill(i) })
	line, _ := bufio.NewReader(out).ReadString('\n')
	client, route, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		c.t.Fatalf("node %d says %q, want its addresses", i, line)
	}
	c.client[i].target.Store(&client)
	for j := range 3 {
		if i != j {
			c.routes[j][i].target.Store(&route)
		}
	}
}

// kill ends node i at once.
func (c *cluster) kill(i int) {
	if c.nodes[i] == nil {
		return
	}
	_ = c.nodes[i].Process.Kill()
	_ = c.nodes[i].Wait()
	_ = c.stdin[i].Close()
	c.nodes[i] = nil
}

// isolate cuts node i off from the other nodes, not from its clients.
func (c *cluster) isolate(i int, cut bool) {
	for j := range 3 {
		if i != j {
			c.routes[i][j].setCut(cut)
			c.routes[j][i].setCut(cut)
		}
	}
}

func (c *cluster) url() string {
	var urls []string
	for i := range 3 {
		urls = append(urls, "nats://"+c.client[i].addr())
	}
	return strings.Join(urls, ",")
}
