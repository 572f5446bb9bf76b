package worker

import (
	"reflect"
	"time"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/libquickjs"
	"modernc.org/quickjs"
)

// pollEvery is how many operations the engine does between two looks at its
// interrupt handler: its own constant.
const pollEvery = lib.MJS_INTERRUPT_COUNTER_INIT

// meter counts what a program does inside the engine, where its host does not
// see it, and stops it at its limits. An operation is a call of a function or
// a jump, of which a turn of a loop takes one or two: what can make a program
// long.
//
// The engine's Go interface has no such hook, so the meter sets the engine's own:
// its interrupt handler, and its allocator, whose refusals it notes. It finds
// them behind two unexported fields; newMeter says so when they are not there.
type meter struct {
	vm       *quickjs.VM
	ctx      *lib.TJSContext
	limit    int64
	deadline time.Time

	polls       int64
	tooMany     bool // operations
	late        bool
	outOfMemory bool // an allocation was refused

	// What the engine calls; kept here, since it holds their addresses only.
	poll    func(tls *libc.TLS, rt, opaque uintptr) int32
	malloc  func(tls *libc.TLS, state uintptr, size lib.Tsize_t) uintptr
	realloc func(tls *libc.TLS, state, block uintptr, size lib.Tsize_t) uintptr
}

// newMeter meters an engine. limit is how many operations it may do, and
// deadline when it must have ended.
func newMeter(vm *quickjs.VM, limit int64, deadline time.Time) (m *meter, known bool) {
	v := reflect.ValueOf(vm).Elem()
	context, holder := v.FieldByName("cContext"), v.FieldByName("runtime")
	if !context.IsValid() || context.Kind() != reflect.Uintptr || !holder.IsValid() || holder.Kind() != reflect.Pointer || holder.IsNil() {
		return nil, false
	}
	field := holder.Elem().FieldByName("cRuntime")
	if !field.IsValid() || field.Kind() != reflect.Uintptr {
		return nil, false
	}
	m = &meter{vm: vm, limit: limit, deadline: deadline}
	m.ctx = (*lib.TJSContext)(at(uintptr(context.Uint())))
	rt := (*lib.TJSRuntime)(at(uintptr(field.Uint())))
	m.poll = func(*libc.TLS, uintptr, uintptr) int32 { return m.look() }
	rt.Finterrupt_handler = address(&m.poll)
	calls := &rt.Fmalloc_ctx.Fmf
	malloc, realloc := calls.Fjs_malloc, calls.Fjs_realloc
	m.malloc = func(tls *libc.TLS, state uintptr, size lib.Tsize_t) uintptr {
		p := (*(*func(*libc.TLS, uintptr, lib.Tsize_t) uintptr)(unsafe.Pointer(&malloc)))(tls, state, size) //nolint:gosec // calls the function at an address, as the engine does
		m.outOfMemory = m.outOfMemory || p == 0
		return p
	}
	m.realloc = func(tls *libc.TLS, state, block uintptr, size lib.Tsize_t) uintptr {
		p := (*(*func(*libc.TLS, uintptr, uintptr, lib.Tsize_t) uintptr)(unsafe.Pointer(&realloc)))(tls, state, block, size) //nolint:gosec // likewise
		m.outOfMemory = m.outOfMemory || p == 0 && size > 0
		return p
	}
	calls.Fjs_malloc, calls.Fjs_realloc = address(&m.malloc), address(&m.realloc)
	return m, true
}

// at is the engine's memory at an address: it lies outside of Go's heap.
func at(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address)) //nolint:gosec // not Go's memory: it does not move
}

// address is a function's as the engine calls it.
func address[F any](f *F) uintptr {
	return *(*uintptr)(unsafe.Pointer(f)) //nolint:gosec // a function value is its address, which is what the engine keeps
}

// look is asked every pollEvery operations; 1 stops the program.
func (m *meter) look() int32 {
	m.polls++
	m.tooMany = m.tooMany || m.limit > 0 && m.operations() > m.limit
	m.late = m.late || !time.Now().Before(m.deadline) //nolint:forbidigo // measures how long the program runs, tells no time
	if !m.tooMany && !m.late {
		return 0
	}
	m.vm.Interrupt() // the jobs behind this one do not run any more
	return 1
}

// operations is how many the program has done.
func (m *meter) operations() int64 {
	return m.polls*pollEvery + pollEvery - int64(m.ctx.Finterrupt_counter)
}
