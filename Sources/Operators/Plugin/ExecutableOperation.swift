public import Kernels
public import TensorGraph

/// An operation that can be computed.
public protocol ExecutableOperation: Operation {
    /// Prepares the computation for concrete types, once per plan; what can be worked out beforehand is.
    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel
}

/// An operation whose kernel can add its only output to what is in the output's memory, in place of writing it: see
/// `KernelArguments.accumulates`.
public protocol AccumulatingOperation: ExecutableOperation {}

/// A prepared computation of one node.
public struct Kernel: Sendable {
    /// Bytes of scratch memory that one run needs, for all threads together.
    public var scratchBytes: Int
    /// Floating-point operations of one run, for reports.
    public var operationCount: Double
    public var run: @Sendable (KernelArguments) -> Void

    public init(
        scratchBytes: Int = 0, operationCount: Double = 0, run: @escaping @Sendable (KernelArguments) -> Void
    ) {
        self.scratchBytes = scratchBytes
        self.operationCount = operationCount
        self.run = run
    }
}

/// Memory that a kernel works on. Inputs and outputs are distinct buffers, except where the operation allowed views
/// or overwriting.
public struct KernelArguments {
    public let inputs: [UnsafeRawPointer]
    public let outputs: [UnsafeMutableRawPointer]
    /// At least `scratchBytes` bytes, aligned to 64; contents undefined.
    public let scratch: UnsafeMutableRawPointer
    public let pool: ThreadPool
    /// Whether the output is added to what its memory holds; true for an `AccumulatingOperation` only.
    public var accumulates = false

    public init(
        inputs: [UnsafeRawPointer], outputs: [UnsafeMutableRawPointer], scratch: UnsafeMutableRawPointer,
        pool: ThreadPool
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.scratch = scratch
        self.pool = pool
    }

    public func input<Element>(_ index: Int, as type: Element.Type = Element.self) -> UnsafePointer<Element> {
        inputs[index].assumingMemoryBound(to: type)
    }

    public func output<Element>(_ index: Int, as type: Element.Type = Element.self) -> UnsafeMutablePointer<Element> {
        outputs[index].assumingMemoryBound(to: type)
    }
}
