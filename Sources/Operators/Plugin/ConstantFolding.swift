import Kernels
public import TensorGraph

/// Evaluates operations whose inputs are constant, so that shape arithmetic and frozen weights disappear from a graph.
public enum ConstantFolding {
    /// Shared by every builder: shape arithmetic is tiny and frozen weights are folded once.
    private static let pool = ThreadPool(threads: 1)

    public static let evaluator: ConstantEvaluator = { operation, inputs, types in
        // What is drawn anew on every run is no constant.
        guard let operation = operation as? any ExecutableOperation, !(operation is any RandomOperation) else {
            return nil
        }
        if let viewed = operation.viewedInput, types.count == 1 {
            return [Constant(viewing: inputs[viewed], as: types[0])]
        }
        let kernel = operation.kernel(inputs: inputs.map(\.type), outputs: types, threads: 1)
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: max(kernel.scratchBytes, 64), alignment: 64)
        defer { scratch.deallocate() }
        return Constant.make(types) { outputs in
            kernel.run(
                KernelArguments(
                    inputs: inputs.map { $0.bytes.baseAddress! }, outputs: outputs, scratch: scratch, pool: pool))
        }
    }
}
