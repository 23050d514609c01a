import Foundation

/// The discrete Fourier transform y_k = sum_j x_j exp(-2 pi i j k / n) in double precision, in O(n log n).
///
/// A length of small prime factors is taken apart by them (Cooley and Tukey 1965). Any other is a convolution with a
/// chirp, exp(pi i j^2 / n), of a length that is a power of two (Bluestein 1970). Real and imaginary part of a number are
/// the two elements of a vector.
public struct FourierPlan: Sendable {
    public typealias Complex = SIMD2<Double>

    public let length: Int
    /// Beyond it, a prime factor's own quadratic transform costs more than a chirp.
    private static let largestFactor = 31

    /// Prime factors of the length, fours first; empty where a chirp is used.
    private let factors: [Int]
    /// exp(-2 pi i k / n)
    private let roots: [Complex]
    private let chirp: Chirp?

    /// - Precondition: length > 0
    public init(length: Int) {
        precondition(length > 0, "a transform of \(length) numbers")
        self.length = length
        let factors = Self.factors(of: length)
        if factors.allSatisfy({ $0 <= Self.largestFactor }) {
            self.factors = factors
            roots = (0..<length).map { Self.root($0, of: length) }
            chirp = nil
        } else {
            (self.factors, roots) = ([], [])
            chirp = Chirp(length: length)
        }
    }

    /// Numbers of scratch that a transform needs.
    public var scratchCount: Int { chirp?.scratchCount ?? (factors.max() ?? 1) }

    private static func factors(of length: Int) -> [Int] {
        var (rest, factors) = (length, [Int]())
        for factor in [4, 2] {
            while rest % factor == 0 {
                factors.append(factor)
                rest /= factor
            }
        }
        var factor = 3
        while rest > 1 {
            if factor * factor > rest { factor = rest }
            while rest % factor == 0 {
                factors.append(factor)
                rest /= factor
            }
            factor += 2
        }
        return factors
    }

    fileprivate static func root(_ k: Int, of n: Int) -> Complex {
        let angle = 2 * Double.pi * Double(k) / Double(n)
        return Complex(cos(angle), -sin(angle))
    }

    /// - Parameters:
    ///   - x: `length` numbers.
    ///   - y: `length` numbers, not those of x.
    ///   - scratch: `scratchCount` numbers.
    public func transform(
        _ x: UnsafePointer<Complex>, to y: UnsafeMutablePointer<Complex>, scratch: UnsafeMutablePointer<Complex>
    ) {
        if let chirp {
            chirp.transform(x, to: y, scratch: scratch)
        } else {
            transform(x, stride: 1, to: y, count: length, level: 0, scratch)
        }
    }

    /// Decimation in time: the p interleaved parts are transformed one behind the other, then joined in place.
    private func transform(
        _ x: UnsafePointer<Complex>, stride: Int, to y: UnsafeMutablePointer<Complex>, count: Int, level: Int,
        _ scratch: UnsafeMutablePointer<Complex>
    ) {
        if count == 1 {
            y[0] = x[0]
            return
        }
        let p = factors[level]
        let part = count / p
        for index in 0..<p {
            transform(
                x + index * stride, stride: stride * p, to: y + index * part, count: part, level: level + 1, scratch)
        }
        // A root of unity of order `count` is a multiple of the length's.
        let step = length / count
        for k in 0..<part {
            for index in 0..<p { scratch[index] = product(y[index * part + k], roots[index * k * step]) }
            switch p {
            case 2:
                y[k] = scratch[0] + scratch[1]
                y[part + k] = scratch[0] - scratch[1]
            case 4:
                let (even, odd) = (scratch[0] + scratch[2], scratch[1] + scratch[3])
                let (evenRest, oddRest) = (scratch[0] - scratch[2], scratch[1] - scratch[3])
                // -i (re + i im) = im - i re
                let turned = Complex(oddRest.y, -oddRest.x)
                y[k] = even + odd
                y[part + k] = evenRest + turned
                y[2 * part + k] = even - odd
                y[3 * part + k] = evenRest - turned
            default:
                for output in 0..<p {
                    var sum = scratch[0]
                    for index in 1..<p { sum += product(scratch[index], roots[index * output % p * (length / p)]) }
                    y[output * part + k] = sum
                }
            }
        }
    }
}

@inline(__always)
private func product(_ a: FourierPlan.Complex, _ b: FourierPlan.Complex) -> FourierPlan.Complex {
    FourierPlan.Complex(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)
}

/// A transform of any length n as a convolution: j k = (j^2 + k^2 - (k - j)^2) / 2.
private struct Chirp: Sendable {
    typealias Complex = FourierPlan.Complex

    let length: Int
    /// exp(-pi i j^2 / n)
    private let factors: [Complex]
    /// Transform of the conjugate factors, mirrored around 0.
    private let filter: [Complex]
    /// The transform of the convolution, one element; an array because a plan cannot hold a plan.
    private let inner: [FourierPlan]

    init(length: Int) {
        self.length = length
        var size = 1
        while size < 2 * length - 1 { size *= 2 }
        let plan = FourierPlan(length: size)
        // j^2 only counts modulo 2n; it is reduced so that long transforms stay exact.
        let factors = (0..<length).map { FourierPlan.root($0 * $0 % (2 * length), of: 2 * length) }
        var mirrored = [Complex](repeating: .zero, count: size)
        for (index, factor) in factors.enumerated() {
            mirrored[index] = factor.conjugate
            mirrored[(size - index) % size] = factor.conjugate
        }
        var filter = mirrored
        var scratch = [Complex](repeating: .zero, count: plan.scratchCount)
        plan.transform(mirrored, to: &filter, scratch: &scratch)
        self.factors = factors
        self.filter = filter
        inner = [plan]
    }

    var scratchCount: Int { 2 * filter.count + inner[0].scratchCount }

    func transform(
        _ x: UnsafePointer<Complex>, to y: UnsafeMutablePointer<Complex>, scratch: UnsafeMutablePointer<Complex>
    ) {
        let (size, plan) = (filter.count, inner[0])
        let (signal, spectrum, rest) = (scratch, scratch + size, scratch + 2 * size)
        for index in 0..<size { signal[index] = index < length ? product(x[index], factors[index]) : .zero }
        plan.transform(signal, to: spectrum, scratch: rest)
        // The inverse transform is the conjugate of the transform of the conjugate.
        for index in 0..<size { spectrum[index] = product(spectrum[index], filter[index]).conjugate }
        plan.transform(spectrum, to: signal, scratch: rest)
        for index in 0..<length { y[index] = product(signal[index].conjugate / Double(size), factors[index]) }
    }
}

extension FourierPlan.Complex {
    fileprivate var conjugate: Self { Self(x, -y) }
}
