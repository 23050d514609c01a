import Kernels

/// Convolution from its definition, in double precision: one visit per (sample, output channel, position, input channel of
/// the group, kernel element) whose input is not padding.
struct ConvolutionReference {
    let shape: ConvolutionShape
    /// Flat places in x, w, out, and the sample, of every multiplication.
    private(set) var terms: [(sample: Int, x: Int, w: Int, out: Int)] = []

    init(_ shape: ConvolutionShape) {
        self.shape = shape
        let rank = shape.inSpatial.count
        let (inGroup, outGroup) = (shape.inChannels / shape.groups, shape.outChannels / shape.groups)
        let outPoints = Self.points(shape.outSpatial)
        let kernelPoints = Self.points(shape.kernel)
        let inPlane = shape.inSpatial.reduce(1, *)
        for sample in 0..<shape.batch {
            for outChannel in 0..<shape.outChannels {
                for (place, point) in outPoints.enumerated() {
                    for channel in 0..<inGroup {
                        let inChannel = outChannel / outGroup * inGroup + channel
                        for (element, tap) in kernelPoints.enumerated() {
                            var flat = 0
                            var isInside = true
                            for axis in 0..<rank {
                                let at =
                                    point[axis] * shape.strides[axis] + tap[axis] * shape.dilations[axis]
                                    - shape.padsBegin[axis]
                                isInside = isInside && at >= 0 && at < shape.inSpatial[axis]
                                flat = flat * shape.inSpatial[axis] + at
                            }
                            if !isInside { continue }
                            terms.append(
                                (
                                    sample, (sample * shape.inChannels + inChannel) * inPlane + flat,
                                    (outChannel * inGroup + channel) * kernelPoints.count + element,
                                    (sample * shape.outChannels + outChannel) * outPoints.count + place
                                ))
                        }
                    }
                }
            }
        }
    }

    static func points(_ sizes: [Int]) -> [[Int]] {
        sizes.reduce([[]]) { points, size in points.flatMap { point in (0..<size).map { point + [$0] } } }
    }

    func forward(_ x: [Float], _ w: [Float]) -> [Double] {
        var out = [Double](repeating: 0, count: shape.outputCount)
        for term in terms { out[term.out] += Double(x[term.x]) * Double(w[term.w]) }
        return out
    }

    func inputGradient(_ g: [Float], _ w: [Float]) -> [Double] {
        var dx = [Double](repeating: 0, count: shape.inputCount)
        for term in terms { dx[term.x] += Double(g[term.out]) * Double(w[term.w]) }
        return dx
    }

    func perSampleWeightGradient(_ x: [Float], _ g: [Float]) -> [[Double]] {
        var dw = [[Double]](repeating: [Double](repeating: 0, count: shape.weightCount), count: shape.batch)
        for term in terms { dw[term.sample][term.w] += Double(x[term.x]) * Double(g[term.out]) }
        return dw
    }
}
