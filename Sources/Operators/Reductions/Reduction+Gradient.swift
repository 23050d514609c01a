import Kernels
import ONNXFormat
public import TensorGraph

extension Reduction {
    /// Where several entries are the greatest or the least, they share the gradient evenly (PyTorch's amax and amin).
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        let x = node.inputs[0]
        let type = builder.type(of: x)
        guard let gradient = outputGradients[0], type.elementType == .float32 else { return nil }
        var kept = type.shape
        for axis in axes { kept[axis] = 1 }
        let g = try builder.view(gradient, kept)
        let y = try builder.view(node.output, kept)
        switch function {
        case .sum: return try builder.broadcast(g, to: type.shape)
        case .mean:
            let count = axes.map { type.shape[$0] }.elementCount
            let share = try builder.unary(.affine(scale: 1 / Float(max(count, 1)), offset: 0), g)
            return try builder.broadcast(share, to: type.shape)
        case .max, .min:
            let attains = try builder.convert(try builder.compare(.equal, x, y), to: .float32)
            let ties = try builder.sum(attains, axes: axes, keepingAxes: true)
            return try builder.multiply(try builder.divide(g, ties), attains)
        case .prod: return try builder.emit(ProductGradient(axes: axes), g, x)
        case .l1: return try builder.multiply(g, try builder.unary(.sign, x))
        case .l2:
            // The norm's slope is taken as 0 where all entries are 0.
            let isZero = try builder.compare(.equal, y, builder.scalar(0))
            let slope = try builder.select(isZero, builder.scalar(0), try builder.divide(g, y))
            return try builder.multiply(slope, x)
        case .sumSquare: return try builder.multiply(try builder.unary(.affine(scale: 2, offset: 0), g), x)
        case .logSum:
            let total = try builder.sum(x, axes: axes, keepingAxes: true)
            return try builder.broadcast(try builder.divide(g, total), to: type.shape)
        case .logSumExp:
            return try builder.multiply(g, try builder.unary(.exp, try builder.subtract(x, y)))
        }
    }
}
