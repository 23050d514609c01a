import Kernels
import ONNXFormat
import TensorGraph

/// One step of an optimiser as a node of a model (domain `ai.onnx.preview.training`).
///
/// Inputs are the learning rate R, the number T of steps before this one, then all tensors, all their gradients, and for
/// each kind of state all tensors of it; outputs are the new tensors and then the new states.
enum OptimizerOperators {
    static let all: [any OperatorPlugin] = [
        StandardOperator("Adagrad", since: 1, domain: domain, expand: adagrad),
        StandardOperator("Adam", since: 1, domain: domain, expand: adam),
        StandardOperator("Momentum", since: 1, domain: domain, expand: momentum),
    ]

    private static let domain = "ai.onnx.preview.training"

    /// The tensors of each kind: [0] those that are optimised, [1] gradients, then states.
    private static func tensors(_ node: Expansion, kinds: Int) throws(GraphError) -> [[ValueID]] {
        let count = (node.inputs.count - 2) / kinds
        guard count > 0, node.inputs.count == 2 + kinds * count else {
            throw .invalid("it has \(node.inputs.count) inputs, not 2 and \(kinds) for each tensor")
        }
        var tensors: [[ValueID]] = []
        for kind in 0..<kinds {
            var own: [ValueID] = []
            for index in 0..<count { own.append(try node.input(2 + kind * count + index)) }
            tensors.append(own)
        }
        for index in 0..<count {
            let shapes = tensors.map { node.shape($0[index]) }
            guard Set(shapes).count == 1 else {
                throw .invalid("tensor \(index), its gradient and state are \(shapes)")
            }
        }
        return tensors
    }

    /// G + norm_coefficient X: the gradient with that of half the squared norm.
    private static func regularized(_ gradient: ValueID, _ x: ValueID, in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        try sum(1, gradient, try node.float("norm_coefficient", default: 0), x, in: &node)
    }

    /// a x + b y
    private static func sum(
        _ a: Float, _ x: ValueID, _ b: Float, _ y: ValueID, in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        let scaled = try node.builder.unary(.affine(scale: a, offset: 0), x)
        return try node.builder.add(scaled, try node.builder.unary(.affine(scale: b, offset: 0), y))
    }

    /// R and T, the latter as float32.
    private static func rateAndCount(_ node: inout Expansion) throws(GraphError) -> (ValueID, ValueID) {
        let (rate, count) = (try node.input(0), try node.input(1))
        guard node.type(rate).count == 1, node.type(count).count == 1 else {
            throw .invalid("its learning rate is \(node.type(rate)) and its number of steps \(node.type(count))")
        }
        let number = try node.builder.convert(try node.builder.view(count, []), to: .float32)
        return (try node.builder.view(rate, []), number)
    }

    /// sqrt(h) + epsilon
    private static func divisor(_ h: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        let epsilon = try node.float("epsilon", default: 1e-6)
        return try node.builder.unary(.affine(scale: 1, offset: epsilon), try node.builder.unary(.sqrt, h))
    }

    /// Duchi, Hazan and Singer 2011.
    @Sendable
    private static func adagrad(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let tensors = try tensors(node, kinds: 3)
        let (rate, count) = try rateAndCount(&node)
        let decay = try node.float("decay_factor", default: 0)
        let slowed = try node.builder.divide(
            rate, try node.builder.unary(.affine(scale: decay, offset: 1), count))
        var (results, states): ([ValueID], [ValueID]) = ([], [])
        for (index, x) in tensors[0].enumerated() {
            let gradient = try regularized(tensors[1][index], x, in: &node)
            let h = try node.builder.add(tensors[2][index], try node.builder.unary(.square, gradient))
            let step = try node.builder.divide(
                try node.builder.multiply(slowed, gradient), try divisor(h, in: &node))
            results.append(try node.builder.subtract(x, step))
            states.append(h)
        }
        return results + states
    }

    /// Kingma and Ba 2015; the bias of both means is taken out of the rate, but for step 0.
    @Sendable
    private static func adam(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let tensors = try tensors(node, kinds: 4)
        let (rate, count) = try rateAndCount(&node)
        let (alpha, beta) = (try node.float("alpha", default: 0.9), try node.float("beta", default: 0.999))
        // Step 0, which takes the plain rate, must not divide by zero on the way that is not taken.
        let number = try node.builder.binary(.max, count, node.scalar(1))
        func remaining(_ share: Float) throws(GraphError) -> ValueID {
            let power = try node.builder.binary(.pow, node.scalar(share), number)
            return try node.builder.unary(.affine(scale: -1, offset: 1), power)
        }
        let unbiased = try node.builder.divide(
            try node.builder.multiply(rate, try node.builder.unary(.sqrt, try remaining(beta))), try remaining(alpha))
        let isLater = try node.builder.compare(.greater, count, node.scalar(0))
        let adjusted = try node.builder.select(isLater, unbiased, rate)
        let shrinkage = 1 - (try node.float("norm_coefficient_post", default: 0))
        var (results, means, squares): ([ValueID], [ValueID], [ValueID]) = ([], [], [])
        for (index, x) in tensors[0].enumerated() {
            let gradient = try regularized(tensors[1][index], x, in: &node)
            let mean = try sum(alpha, tensors[2][index], 1 - alpha, gradient, in: &node)
            let square = try sum(
                beta, tensors[3][index], 1 - beta, try node.builder.unary(.square, gradient), in: &node)
            let step = try node.builder.divide(
                try node.builder.multiply(adjusted, mean), try divisor(square, in: &node))
            let moved = try node.builder.subtract(x, step)
            results.append(try node.builder.unary(.affine(scale: shrinkage, offset: 0), moved))
            means.append(mean)
            squares.append(square)
        }
        return results + means + squares
    }

    /// Momentum as Polyak 1964, or as Nesterov 1983 looks ahead.
    @Sendable
    private static func momentum(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let tensors = try tensors(node, kinds: 3)
        let (rate, count) = try rateAndCount(&node)
        guard let alpha = try node.float("alpha"), let beta = try node.float("beta"),
            let mode = try node.string("mode"),
            mode == "standard" || mode == "nesterov"
        else { throw .invalid("attributes alpha, beta and mode ('standard' or 'nesterov') must be given") }
        let isLater = try node.builder.compare(.greater, count, node.scalar(0))
        let share = try node.builder.select(isLater, node.scalar(beta), node.scalar(1))
        var (results, states): ([ValueID], [ValueID]) = ([], [])
        for (index, x) in tensors[0].enumerated() {
            let gradient = try regularized(tensors[1][index], x, in: &node)
            let velocity = try node.builder.add(
                try node.builder.unary(.affine(scale: alpha, offset: 0), tensors[2][index]),
                try node.builder.multiply(share, gradient))
            let direction = mode == "standard" ? velocity : try sum(1, gradient, alpha, velocity, in: &node)
            results.append(try node.builder.subtract(x, try node.builder.multiply(rate, direction)))
            states.append(velocity)
        }
        return results + states
    }
}
