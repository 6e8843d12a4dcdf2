// A Trillian log in memory, of which Rekor v1 makes its tree: log server, admin server and sequencer in one process.
//
//	trillian ADDRESS
package main

import (
	"context"
	"log"
	"net"
	"os"
	"sync"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/extension"
	tlog "github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/server/admin"
	"github.com/google/trillian/storage/memory"
	"github.com/google/trillian/util/clock"
	"github.com/google/trillian/util/election2"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// duplicates answers for leaves that are in the log already, as the storage in SQL does and the one in memory does not.
type duplicates struct {
	mutex  sync.Mutex
	leaves map[string]*trillian.LogLeaf
}

func (d *duplicates) intercept(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	queue, isQueue := request.(*trillian.QueueLeafRequest)
	if !isQueue {
		return next(ctx, request)
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	id := string(queue.Leaf.LeafValue)
	if known := d.leaves[id]; known != nil {
		there := &status.Status{Code: int32(codes.AlreadyExists), Message: "duplicate leaf"}
		return &trillian.QueueLeafResponse{QueuedLeaf: &trillian.QueuedLogLeaf{Leaf: known, Status: there}}, nil
	}
	answer, err := next(ctx, request)
	if err == nil {
		leaf := answer.(*trillian.QueueLeafResponse).QueuedLeaf.Leaf
		leaf.MerkleLeafHash = rfc6962.DefaultHasher.HashLeaf(leaf.LeafValue)
		d.leaves[id] = leaf
	}
	return answer, err
}

func main() {
	trees := memory.NewTreeStorage()
	metrics := monitoring.InertMetricFactory{}
	registry := extension.Registry{
		AdminStorage:    memory.NewAdminStorage(trees),
		LogStorage:      memory.NewLogStorage(trees, metrics),
		QuotaManager:    quota.Noop(),
		MetricFactory:   metrics,
		ElectionFactory: election2.NoopFactory{},
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	known := &duplicates{leaves: map[string]*trillian.LogLeaf{}}
	rpc := grpc.NewServer(grpc.UnaryInterceptor(known.intercept))
	trillian.RegisterTrillianLogServer(rpc, server.NewTrillianLogRPCServer(registry, clock.System))
	trillian.RegisterTrillianAdminServer(rpc, admin.New(registry, nil))
	tlog.InitMetrics(metrics)
	sequencer := tlog.NewSequencerManager(registry, 0)
	operations := tlog.NewOperationManager(tlog.OperationInfo{
		Registry:    registry,
		BatchSize:   1000,
		NumWorkers:  1,
		RunInterval: 50 * time.Millisecond,
		TimeSource:  clock.System,
	}, sequencer)
	go operations.OperationLoop(context.Background())
	log.Fatal(rpc.Serve(listener))
}
